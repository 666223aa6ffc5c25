"""No more bytes a second than `limit` says, in all processes of this installation together."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

from dropslot.config.limits import Limit

_PAUSE = threading.Event()  # never set: waiting for it is how this module waits
_TIME = struct.Struct("=d")
_LONGEST_SECONDS = 5.0  # then the limit is looked at again: another time of day may have begun


class Pace:
    """Hands out the time at which bytes may go. Without a limit, or without a file, it costs nothing.

    The file holds the time (of the monotonic clock, which all processes share) at which the next bytes may go.
    """

    def __init__(self, limit: Limit | None, zone: tzinfo, file: Path | None = None) -> None:
        self._limit, self._zone, self._file = limit, zone, file
        self._next = 0.0

    def wait(self, size_bytes: int, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        """Return when `size_bytes` may go."""
        if self._limit is None:
            return
        rate = self._limit.at(now(self._zone).time())
        if rate is None:
            return
        wait = self._reserve(size_bytes / rate)
        while wait > 0:
            _PAUSE.wait(min(wait, _LONGEST_SECONDS))
            wait -= _LONGEST_SECONDS

    def _reserve(self, seconds: float) -> float:
        """Take the next free time, for so long; returns how long it is until then."""
        if self._file is None:
            begin, self._next = self._after(self._next, seconds)
            return begin - time.monotonic()
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            held = os.pread(fd, _TIME.size, 0)
            begin, then = self._after(_TIME.unpack(held)[0] if len(held) == _TIME.size else 0.0, seconds)
            os.pwrite(fd, _TIME.pack(then), 0)
        finally:
            os.close(fd)
        return begin - time.monotonic()

    @staticmethod
    def _after(free: float, seconds: float) -> tuple[float, float]:
        now = time.monotonic()
        # After a restart of the machine the clock begins anew: what lies far ahead is from before.
        begin = max(now, free) if free < now + 3600 else now
        return begin, begin + seconds


def file_of(folder: Path, server: str) -> Path:
    """The file that the processes of an installation share for one server."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / hashlib.sha256(server.encode()).hexdigest()[:16]
