"""A stop signal that epoll can wait for and that a signal handler may set."""

from __future__ import annotations

import os
import select


class Signal:
    """A flag like threading.Event, with a descriptor (an eventfd) that is readable while it is set."""

    def __init__(self) -> None:
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
        return self._set

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, or until the time is over; returns whether it is set."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll(None if seconds is None else seconds * 1000)
        return self._set

    def close(self) -> None:
        os.close(self._fd)
