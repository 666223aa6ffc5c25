"""What the processes of this machine say of themselves: each has a small file, mapped into its memory, in which it
counts; others read it. Counting costs no system call. A lock on the file lasts as long as its process.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dropslot.core.context import kept, put
from dropslot.running.ages import elapsed

_VALUES = struct.Struct("<6d")
_FORMAT = 2  # begins the file: a later version may count more
_START = struct.Struct("<IIQ")  # the format, the pid, which start of the machine
_SIZE = 64
_PULSE = struct.Struct("<d")
_PULSE_AT = _START.size + 4 * 8  # of `beat`
PULSE_SECONDS = 1.0


class Counts(NamedTuple):
    """What one process counted since it started. `busy`: it works on something now; `beat`: when it said so last
    (seconds since the machine started); `in_hand`: what it holds in memory and has not passed on."""

    busy: float = 0.0
    batches: float = 0.0
    arrivals: float = 0.0
    busy_seconds: float = 0.0
    beat: float = 0.0
    in_hand: float = 0.0


class Seen(NamedTuple):
    """One process as its file shows it; `pid` is 0 if it ended without removing the file."""

    name: str
    pid: int
    counts: Counts

    @property
    def quiet_seconds(self) -> float:
        """Since it gave a sign of life."""
        return max(0.0, elapsed() - self.counts.beat)


class Mine:
    """The counts of this process; without a file they are kept for nobody."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._map: mmap.mmap | None = None
        self._pulsed = 0.0

    def put_on(self, descriptor: int) -> None:
        """Count in this file from now on."""
        os.posix_fallocate(descriptor, 0, _SIZE)  # a page without a block would be SIGBUS on a full disk
        self._map = mmap.mmap(descriptor, _SIZE)
        _START.pack_into(self._map, 0, _FORMAT, os.getpid(), _boot())
        self._write()

    def begin(self) -> float:
        """A batch begins; returns the time for `end`."""
        self._counts = self._counts._replace(busy=1.0)
        self._write()
        return elapsed()

    def end(self, begun: float, arrivals: int) -> None:
        """The batch that began then ended, with so many arrivals; none: there was nothing to do."""
        batches, seconds = (1, elapsed() - begun) if arrivals else (0, 0.0)
        self._counts = self._counts._replace(
            busy=0.0,
            batches=self._counts.batches + batches,
            arrivals=self._counts.arrivals + arrivals,
            busy_seconds=self._counts.busy_seconds + seconds,
        )
        self._write()

    def holds(self, in_hand: int) -> None:
        """It is well, and holds so many things."""
        self._counts = self._counts._replace(in_hand=float(in_hand))
        self._write()

    def pulse(self) -> None:
        """It is alive; from any thread, as often as it likes: once a second it is written down."""
        now = elapsed()
        if self._map is not None and now - self._pulsed >= PULSE_SECONDS:
            self._pulsed = now
            _PULSE.pack_into(self._map, _PULSE_AT, now)

    def _write(self) -> None:
        self._counts = self._counts._replace(beat=elapsed())
        if self._map is not None:
            _VALUES.pack_into(self._map, _START.size, *self._counts)


@cache  # the machine does not start again while a process lives
def _boot() -> int:
    """Which start of the machine this is."""
    return int(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").replace("-", "")[:16], 16)


def mine() -> Mine:
    """The counts of this process."""
    return kept(Mine)


def folder(data: Path) -> Path:
    """Where the files are."""
    return data / "processes"


@contextmanager
def joined(data: Path, name: str) -> Iterator[None]:
    """This process is on the board under `name` during the block."""
    counts = Mine()
    path, descriptor = _begin(data, name, counts)
    try:
        put(counts)
        yield
        if path:
            path.unlink(missing_ok=True)  # not after an error: the file then says that it ended unexpectedly
    finally:
        put(Mine())
        if descriptor >= 0:
            os.close(descriptor)


def _begin(data: Path, name: str, counts: Mine) -> tuple[Path | None, int]:
    """The file that is counted in, and its descriptor. On a full or read-only disk there is none."""
    path, descriptor = None, -1
    with suppress(OSError):
        folder(data).mkdir(mode=0o700, parents=True, exist_ok=True)
        path, descriptor = _locked(folder(data), name)
        counts.put_on(descriptor)
    return path, descriptor


def _locked(home: Path, name: str) -> tuple[Path, int]:
    """The file of that name; another one if a process of the same name is alive."""
    for number in itertools.count(1):
        path = home / (name if number == 1 else f"{name}.{number}")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if _is_free(descriptor, fcntl.LOCK_EX):
            return path, descriptor
        os.close(descriptor)
    raise AssertionError("never reached")


def _is_free(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def look(data: Path) -> list[Seen]:
    """All processes on the board, by name."""
    home = folder(data)
    names = sorted(os.listdir(home)) if home.is_dir() else []
    return [seen for name in names if (seen := _read(home / name)) is not None]


def _read(path: Path) -> Seen | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        content = os.pread(descriptor, _SIZE, 0)
        if len(content) < _SIZE:
            return None
        form, pid, boot = _START.unpack_from(content)
        if (form, boot) != (_FORMAT, _boot()):  # its times count from another start of the machine
            return None
        pid = 0 if _is_free(descriptor, fcntl.LOCK_SH) else pid
        return Seen(path.name, pid, Counts(*_VALUES.unpack_from(content, _START.size)))
    finally:
        os.close(descriptor)


def sweep(data: Path) -> None:
    """Remove the files of processes that have ended: for the start of the service."""
    for path in list(folder(data).iterdir()) if folder(data).is_dir() else ():
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if _is_free(descriptor, fcntl.LOCK_SH):
                path.unlink(missing_ok=True)
            os.close(descriptor)
