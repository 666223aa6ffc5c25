"""A person at a terminal: the host key is asked for once, passwords are not shown, Ctrl-C ends a question."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collecting import ROUTE, Pc
from product import Product
from sshd import Sshd


class Typed:
    """A command in a terminal of its own; `answer` waits for a question."""

    def __init__(self, pc: Pc, *words: str | Path) -> None:
        self.fd, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, *map(str, words)],
            env=pc.environment | {"TERM": "xterm", "COLUMNS": "80"},
            cwd=pc.root,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def answer(self, question: str, keys: str) -> None:
        self.read(lambda: question in self.shown, question)
        os.write(self.fd, keys.encode())

    def end(self) -> int:
        self.read(lambda: self.process.poll() is not None, "the end")
        return self.process.wait(60)

    def read(self, until: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 60
        while not until():
            assert time.monotonic() < end, f"no sign of {what} in:\n{self.shown}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:  # nobody has the terminal any more
                    self.process.wait(60)

    @property
    def is_echoing(self) -> bool:
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)


# The terminal becomes the one of its session, as in a shell: Ctrl-C is then a signal.
_IN_TERMINAL = """
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("dropslot", run_name="__main__")
"""


@pytest.fixture
def lab(sqlite_product: Product) -> Product:
    return sqlite_product.configure({"study": ROUTE})


@pytest.fixture
def pc(lab: Product, shared_sshd: Sshd, tmp_path: Path) -> Iterator[Pc]:
    pc = Pc(tmp_path / "pc", shared_sshd, lab.folder("inbox"))
    pc.write("a.txt")
    yield pc


def words(pc: Pc, *more: str) -> list[str | Path]:
    assert pc.server
    where = pc.server.url(pc.inbox).replace("root@", "")
    return ["send", pc.data, "--to", where, "--study", "heart", "--no-wait", *more]


def test_the_host_key_is_shown_once_and_kept(pc: Pc, lab: Product) -> None:
    assert pc.server
    key = ["--key", str(pc.server.key), "--user", "root"]
    no = Typed(pc, *words(pc, *key))
    no.answer("(yes/no)", "no\n")
    assert no.end() == 1 and not list(lab.folder("inbox").iterdir())
    yes = Typed(pc, *words(pc, *key))
    shown = subprocess.run(
        ["ssh-keygen", "-lf", pc.server.host_key], capture_output=True, text=True, check=True
    )
    yes.answer("(yes/no)", "yes\n")
    assert yes.end() == 0
    assert shown.stdout.split()[1] in re.sub(r"\s+", " ", yes.shown)
    pc.write("b.txt")
    again = Typed(pc, *words(pc, *key))
    assert again.end() == 0 and "yes/no" not in again.shown
    assert len(list(lab.folder("inbox").iterdir())) == 2


def test_a_password_is_not_shown_and_a_wrong_one_is_said(pc: Pc, make_sshd: Callable[..., Sshd]) -> None:
    pc.server = make_sshd("PasswordAuthentication yes", "MaxAuthTries 2")
    typed = Typed(pc, *words(pc, "--known-hosts", str(pc.server.known_hosts)))
    typed.answer("User at 127.0.0.1", "root\n")
    typed.answer("Password of root@127.0.0.1", "correct horse\n")
    typed.answer("That was not accepted. Password of", "battery staple\n")
    assert typed.end() == 1
    assert "did not let root sign in" in re.sub(r"\s+", " ", typed.shown)
    assert "correct horse" not in typed.shown and "battery staple" not in typed.shown
    assert "Traceback" not in typed.shown


def test_ctrl_c_at_a_question_ends_at_once_and_the_terminal_is_as_before(
    pc: Pc, make_sshd: Callable[..., Sshd]
) -> None:
    pc.server = make_sshd("PasswordAuthentication yes")
    typed = Typed(pc, *words(pc, "--known-hosts", str(pc.server.known_hosts), "--user", "root"))
    typed.answer("Password of root@127.0.0.1", "\x03")
    assert typed.end() == 130
    assert typed.is_echoing and "Traceback" not in typed.shown
