"""A stop signal that epoll can wait for and that a signal handler may set."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

_SLICE_SECONDS = 10.0


class Signal:
    """A flag like threading.Event, with a descriptor (an eventfd) that is readable while it is set.

    Who works asks it again and again, which is a sign of life: each time, and every ten seconds of a wait, it calls
    `alive`.
    """

    def __init__(self, alive: Callable[[], None] = lambda: None) -> None:
        self._alive = alive
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._set = False

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        """Safe in signal handlers and from any thread."""
        self._set = True
        os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        self._set = False
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return  # was not set

    def is_set(self) -> bool:
        self._alive()
        return self._set

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, or until the time is over; returns whether it is set."""
        end = float("inf") if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            poll.poll(min(left, _SLICE_SECONDS) * 1000)
        return self._set

    def close(self) -> None:
        os.close(self._fd)
