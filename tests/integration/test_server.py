"""Routes and a server made in Python, without a config.yaml."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from product import write_tree
from waiting import wait_until

SOURCE = Path(__file__).parents[2] / "src"
OBSERVE = """
from dropslot import Deliver, Route, Server

routes = [Route(key="study", folders="./study", deliver=[Deliver(to="./delivered", file_mode=640)])]
Server(routes, data="./var", worker_count=1).observe()
"""


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_"))}
    return kept | {"PYTHONPATH": str(SOURCE)}


def test_a_server_in_python_delivers_until_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "delivered").mkdir()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", OBSERVE], cwd=tmp_path, env=environment(), stdout=log, stderr=log
        )
    try:
        inbox = tmp_path / "study/inbox"
        wait_until(lambda: inbox.is_dir() or process.poll() is not None, what="the inbox being made")
        assert process.poll() is None, (tmp_path / "log").read_text()
        write_tree(tmp_path / "aside", {"scan.txt": b"1"}).rename(inbox / "heart")
        delivered = tmp_path / "delivered/scan.txt"
        wait_until(delivered.exists, what="the delivery")
        assert delivered.read_bytes() == b"1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_mistakes_in_python_are_reported_like_those_in_a_file(tmp_path: Path) -> None:
    code = "from dropslot import Route, Server\nServer([Route(key='s', folders='./s', deliver=[{'to': './{x}'}])])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert "routes.s.deliver[0].to" in done.stderr


@pytest.mark.parametrize("name", ["Route", "Deliver", "Select", "Config", "Server"])
def test_the_names_of_the_api(name: str) -> None:
    import dropslot

    assert name in dir(dropslot)
    assert getattr(dropslot, name).__name__ == name
