"""The pid file. The running process holds a lock (flock) on it, which distinguishes it from a stale file or a reused
pid."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_PATIENCE_SECONDS = 1.0


class AlreadyRunning(DropslotError):
    """Another watcher of the same data folder runs."""

    code = "already-running"

    def __init__(self, pid: int, path: Path) -> None:
        super().__init__(
            f"A watcher is already running: pid {pid}, according to {escape(str(path))}",
            next_step="`dropslot stop_watcher` ends it; `dropslot start_watcher --restart` puts a new one in its place",
        )
        self.pid = pid


class PidFile:
    """Held from `take` until `remove`, or until the process ends, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> PidFile:
        """Make the file, or take over a stale one. Raises AlreadyRunning, OSError."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            descriptor = os.open(path, _OPEN | os.O_CREAT, 0o600)
            if _lock(descriptor, fcntl.LOCK_EX) and _is_at(path, descriptor):
                os.ftruncate(descriptor, 0)
                return cls(path, descriptor)
            os.close(descriptor)
            # A process that asks for the status holds the lock for a moment; one that stops removes the file.
            if time.monotonic() > deadline:
                raise AlreadyRunning(holder(path) or 0, path)
            time.sleep(0.02)

    def write(self, pid: int) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{pid}\n".encode(), 0)

    def keep_from_children(self) -> None:
        """A worker that outlives the watcher must not hold the lock for it."""
        os.register_at_fork(after_in_child=self.leave)

    def leave(self) -> None:
        """Close the descriptor; the lock stays with other processes that have it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.leave()


def holder(path: Path) -> int | None:
    """The pid of the running watcher; None when none runs, 0 when it has not written its pid yet. Raises
    OSError."""
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return _pid_in(descriptor)
    finally:
        os.close(descriptor)


def remove_stale(path: Path) -> None:
    """Remove the file when nobody holds it: left over from a watcher that was killed. Raises OSError."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, _OPEN)
        try:
            # Under the lock: a watcher that starts now must not lose its file.
            if _lock(descriptor, fcntl.LOCK_EX) and _is_at(path, descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _pid_in(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
