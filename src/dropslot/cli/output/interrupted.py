"""Ctrl-C: says what the state is, and what to do next."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it
_STATE = {
    "send": "What was sent so far is kept, and nothing counts as delivered that was not. `dropslot send` continues",
    "sent": "Nothing was changed by that",
    "drain": "Nothing is lost. What was taken lies in processing, where `dropslot pending` lists it; the next `dropslot"
    " drain`, or `dropslot run`, continues with it",
    "run": "Nothing is lost: the next start continues",
    "start_observer": "Nothing is lost: the next start continues",
    "start_watcher": "`dropslot watcher_status` says whether the watcher runs",
    "stop_watcher": "`dropslot watcher_status` says whether the watcher still runs",
    "verify": "Nothing was changed. The rest is not verified: run it again",
    "purge": "What was removed so far is recorded, and was proved or dismissed before; the next purge continues",
    "rebuild": "Run it again: it continues",
    "load_remote_folders": "Either the whole file was loaded or nothing of it: run it again",
    "start_log_reader": "What was read so far is recorded; the next run continues from there",
    "migrate_data": "Run it again",
    "partition_trail": "Either all of it was done or nothing: run it again",
    "init": "Run it again: what exists already is kept",
    "trust_host": "The key is trusted only if the command said so",
}


@contextmanager
def noticed() -> Iterator[list[bool]]:
    """Yields a list that gets an entry when Ctrl-C is pressed, even if code on the way swallows the exception."""
    pressed: list[bool] = []

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(True)
        signal.default_int_handler(number, frame)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed  # in a project of somebody's own, or where Ctrl-C is ignored
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def explain_interrupt(command: str) -> int:
    """Say on stderr what the state is after Ctrl-C; the exit status for it."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a second one must not cut this off, nor the end of the interpreter
    state = _STATE.get(command, "Nothing is left half done: run it again")
    sys.stderr.write(f"\ndropslot: Interrupted. {state}.\n")
    return INTERRUPTED
