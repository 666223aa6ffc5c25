"""The programs of `make package`, as somebody starts them on a PC without Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collecting import ROUTE
from desktop.display import display
from documents import REPOSITORY
from dropslot import __version__
from product import Product
from sshd import Sshd
from waiting import wait_until

COMMAND, WINDOW = (REPOSITORY / "dist" / name for name in ("dropslot", "dropslot-desktop"))


@pytest.fixture
def pc(tmp_path: Path) -> dict[str, str]:
    """An environment without Python's packages, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "DROPSLOT_SENDER_HOME": str(home / "sender")}


def test_both_start_and_say_their_version(pc: Mapping[str, str]) -> None:
    for program in (COMMAND, WINDOW):
        assert _run(pc, program, "--version").stdout == f"dropslot {__version__}\n"
    assert "For the server's commands" in _run(pc, COMMAND, "drain", status=1).stderr


def test_the_command_sends_and_knows_that_it_arrived(
    pc: Mapping[str, str], sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    lab = sqlite_product.configure({"study": {**ROUTE, "receipts": "./study/receipts/{sender}"}})
    (lab.folder("inbox").parent / "receipts").mkdir()
    (tmp_path / "s01.edat3").write_bytes(b"first")
    server = [f"--to={shared_sshd.url(lab.folder('inbox'))}", f"--key={shared_sshd.key}"]
    server += [f"--known-hosts={shared_sshd.known_hosts}", "--study=heart", "--subfolder=eprime"]
    _run(pc, COMMAND, "send", tmp_path / "s01.edat3", *server, "--no-wait")
    lab.drain()
    (row,) = map(json.loads, _run(pc, COMMAND, "sent", "--json").stdout.splitlines())
    assert (row["file"], row["state"]) == ("eprime/s01.edat3", "delivered")
    assert lab.delivered() == {"heart/eprime/s01.edat3": b"first"}


@pytest.fixture
def screen() -> Iterator[Mapping[str, str]]:
    with display() as environment:
        yield environment


def test_the_window_opens(pc: Mapping[str, str], screen: Mapping[str, str]) -> None:
    environment = {**pc, **screen}
    process = subprocess.Popen([WINDOW], env=environment, start_new_session=True)
    try:
        wait_until(
            lambda: "Welcome to dropslot" in _windows(environment), deadline_seconds=180, what="the window"
        )
        assert process.poll() is None
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def _windows(environment: Mapping[str, str]) -> str:
    """The titles of all windows."""
    command = ["xwininfo", "-root", "-tree"]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False).stdout


def _run(
    pc: Mapping[str, str], program: Path, *words: str | Path, status: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(program), *map(str, words)], env=dict(pc), capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done
