"""Waits in pieces, so that the person can end it."""

from __future__ import annotations

import threading
import time

from dropslot.sender.plan import Watcher

_PIECE_SECONDS = 0.1
_NEVER = threading.Event()  # nobody sets it: waiting for it is how this module waits


def wait(seconds: float, watcher: Watcher) -> None:
    """Wait for this time; raises what the watcher raises."""
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        watcher.check()
        _NEVER.wait(min(rest, _PIECE_SECONDS))
