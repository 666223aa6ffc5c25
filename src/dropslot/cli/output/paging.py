"""A pager for a terminal, as in git: only for output that does not fit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


def page(lines: Iterable[str], *, cut_lines: bool = False) -> None:
    """Print lines to the terminal, by $PAGER (else `less`) when they are more than it has or wider than it is.

    With `cut_lines` less cuts long lines off, and scrolls sideways, in place of folding them. With PAGER=cat, an empty
    one, or one that cannot be started, the lines are printed.
    """
    found = list(lines)
    text = "".join(f"{line}\n" for line in found)
    pager = os.environ.get("PAGER", "less")
    if _fits(found) or pager in ("", "cat") or not _paged(pager, text, cut_lines=cut_lines):
        sys.stdout.write(text)


def _fits(lines: list[str]) -> bool:
    columns, rows = shutil.get_terminal_size()
    return len(lines) < rows and all(len(line) <= columns or "\x1b" in line for line in lines)


def _paged(pager: str, text: str, *, cut_lines: bool) -> bool:
    """Whether the pager took it."""
    if shutil.which(pager.split()[0]) is None:
        return False
    # At its end, where the newest rows are.
    environment = {"LESS": "FRXS+G" if cut_lines else "FRX+G", "LESSCHARSET": "utf-8"} | os.environ
    sys.stdout.flush()
    process = subprocess.Popen(pager, shell=True, stdin=subprocess.PIPE, env=environment)  # noqa: S602 - as git does
    with _left_to_the_pager(), suppress(BrokenPipeError):  # it may be left before its end
        process.communicate(text.encode(errors="replace"))
    return process.wait() != _NOT_STARTED


_NOT_STARTED = 127  # of sh


@contextmanager
def _left_to_the_pager() -> Iterator[None]:
    """Ctrl-C is the pager's: this process waits for it to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
