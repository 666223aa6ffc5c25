"""The programs on the page of the API do what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from documents import REPOSITORY, blocks
from portals import Served
from waiting import wait_until


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the page's programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for block in blocks(REPOSITORY / "docs" / "api.md"):
        if block.mark.startswith("file: "):
            (folder / block.mark.removeprefix("file: ")).write_text(block.text)
    return folder


def call(folder: Path, served: Served, *command: str, scope: tuple[str, ...] = ("upload", "read")) -> str:
    """What a program prints, with a token of the account `sam`."""
    scopes = [word for one in scope for word in ("--scope", one)]
    token = served.product.run("addtoken", "sam", *scopes, "--days", "1").stdout.strip()
    environment = {"PATH": "/usr/bin:/bin", "TOKEN": token, "PORTAL": served.url}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def portal(served: Served) -> Served:
    served.account("sam", "sender")
    return served.start()


def test_a_file_is_sent_by_curl_in_one_request(portal: Served, programs: Path) -> None:
    (programs / "066-12345678-9.pdf").write_bytes(b"%PDF-1.4 a result")
    call(programs, portal, "bash", "-e", "upload.sh")
    portal.product.drain()
    (row,) = portal.product.history()
    assert (row["name"], row["sender"]) == ("066-12345678-9.pdf", "sam")


def test_a_folder_is_sent_whole_and_its_deliveries_are_listed(portal: Served, programs: Path) -> None:
    folder = programs / "heart-visit1"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "deep" / "b.txt").write_text("two")
    said = call(programs, portal, sys.executable, "upload_folder.py", "heart-visit1")
    assert said == "heart-visit1 2\n"
    portal.product.drain()
    listed = wait_until(
        lambda: call(programs, portal, sys.executable, "all_deliveries.py"), what="the deliveries"
    )
    assert len(listed.splitlines()) == 2
    assert {row["item"] for row in portal.product.history()} == {"a.txt", "deep/b.txt"}
