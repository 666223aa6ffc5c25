"""A log file that is private, rotates by size, and may be written by several processes."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

MAX_BYTES = 10_000_000
KEEP = 5  # PATH.1 is the newest of the old ones


class LogFile:
    """Appends to `path` (mode 0600). When it has grown to `max_bytes` it becomes PATH.1, and so on up to
    PATH.`keep`.

    With `descriptor` (1 or 2), that descriptor leads to the file, after each rotation too, so that everything the
    process prints goes there. Nothing is raised when the disk is full: a log that cannot be written must not stop
    deliveries. How many entries were lost is written as soon as one can be.
    """

    def __init__(
        self, path: Path, *, descriptor: int | None = None, max_bytes: int = MAX_BYTES, keep: int = KEEP
    ) -> None:
        self.path = path
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = threading.Lock()
        self._lost = 0
        self._file = -1
        self._reopen = False
        os.register_at_fork(after_in_child=self._renew_lock)
        self._open()

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it at the fork
        # A lock of flock belongs to the open file, which a fork shares: each process needs one of its own to rotate.
        self._reopen = True

    def reopen(self) -> None:
        """Let the next write reopen the path; safe in a signal handler."""
        self._reopen = True

    def _open(self) -> None:
        self._reopen = False
        new = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        old, self._file = self._file, new
        if old >= 0:
            os.close(old)
        if self._descriptor is not None:
            os.dup2(new, self._descriptor)

    def write(self, text: str) -> None:
        """Append `text` and a line end, in one write, so that lines of several processes do not mix."""
        with self._lock:
            try:
                self._rotate_when_full()
                self._append(text)
            except OSError:
                self._lost += 1

    def _append(self, text: str) -> None:
        if self._lost:
            note = f"{self._lost} entries were lost: this file could not be written (disk full?)\n"
            os.write(self._file, note.encode())
            self._lost = 0
        os.write(self._file, f"{text}\n".encode(errors="backslashreplace"))

    def _rotate_when_full(self) -> None:
        if self._reopen:
            self._open()
        ours = os.fstat(self._file)
        if ours.st_size >= self._max_bytes:
            # Another process may have rotated already: under the lock, only what is at the path still is
            # rotated.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._is_current(ours):
                self._rotate()
            self._open()
        elif not self._is_current(ours):
            self._open()

    def _is_current(self, ours: os.stat_result) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), ours)
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")

    def close(self) -> None:
        os.close(self._file)
        self._file = -1
