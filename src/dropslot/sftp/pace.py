"""No more bytes a second than `limit` says, in all processes of this installation together."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path

from dropslot.config.limits import Limit

_PAUSE = threading.Event()  # never set: waiting for it is how this module waits
_LONGEST_SECONDS = 5.0  # then the limit is looked at again: another time of day may have begun


class Clock:
    """This machine's time. Tests have one that passes when they say so."""

    def monotonic(self) -> float:
        """Seconds since the machine was started: all processes share it, and nobody sets it."""
        return time.monotonic()

    def now(self, zone: tzinfo) -> datetime:
        """The time of day."""
        return datetime.now(zone)

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        _PAUSE.wait(seconds)


class Pace:
    """Says when bytes may go. Without a limit it costs nothing; without a file it is this process's alone.

    The file holds the time at which the next bytes may go, and since which start of the machine that time counts.
    """

    def __init__(
        self, limit: Limit | None, zone: tzinfo, file: Path | None = None, clock: Clock | None = None
    ) -> None:
        self._limit, self._zone, self._file, self._clock = limit, zone, file, clock or Clock()
        self._free = 0.0

    def wait(self, size_bytes: int) -> None:
        """Return when `size_bytes` may go: between any two moments no more than the limit allows, and one such call."""
        while (rate := self._rate()) is not None:
            if (seconds := self._take(size_bytes / rate)) <= 0:
                return
            self._clock.wait(min(seconds, _LONGEST_SECONDS))

    def _rate(self) -> int | None:
        return self._limit.at(self._clock.now(self._zone).time()) if self._limit else None

    def _take(self, seconds: float) -> float:
        """Take so much time when it is free now, and return 0; else how long until then."""
        with self._shared() as free:
            now = self._clock.monotonic()
            if free <= now:
                self._free = now + seconds
            return max(0.0, free - now)

    @contextmanager
    def _shared(self) -> Iterator[float]:
        """When it is free; what the block leaves in `_free` is told to the other processes."""
        if self._file is None:
            yield self._free
            return
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._free = free = _read(fd)
            yield free
            if self._free != free:
                os.pwrite(fd, f"{self._free:024.6f} {_boot()}".encode(), 0)
        finally:
            os.close(fd)


def _read(fd: int) -> float:
    """What the file says; 0 when it says nothing, or something of before the machine was started anew."""
    free, _, boot = os.pread(fd, 100, 0).decode("ascii", "replace").partition(" ")
    with suppress(ValueError):
        return float(free) if boot == _boot() else 0.0
    return 0.0


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def file_of(folder: Path, server: str) -> Path:
    """The file that the processes of an installation share for one server."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / hashlib.sha256(server.encode()).hexdigest()[:16]
