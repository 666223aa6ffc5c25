"""A limit on the speed of writing to one server, shared by all processes of this installation."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path

from dropslot.core.settings.limits import Limit
from dropslot.sftp.pace import Clock, Pace


class SharedPace(Pace):
    """Keeps to a limit of config.yaml, over all processes that share one file.

    The file holds the time at which the next bytes may go, and the boot of the machine to which that time belongs.
    """

    def __init__(self, limit: Limit, zone: tzinfo, file: Path, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        super().__init__(lambda: limit.at(clock.now(zone).time()), clock)
        self._file = file

    def _take(self, seconds: float) -> float:
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._free = free = _read(fd)
            wait = super()._take(seconds)
            if self._free != free:
                os.pwrite(fd, f"{self._free:024.6f} {_boot()}".encode(), 0)
            return wait
        finally:
            os.close(fd)


def _read(fd: int) -> float:
    """The time in the file; 0 if it is empty, damaged, or from before the last boot."""
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
