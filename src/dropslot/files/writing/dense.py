"""Copies the bytes of one item without holes between descriptors and hashes them: in turn, or in a second thread."""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from dropslot.files import syscalls
from dropslot.files.writing.earlysync import EarlySync

BIG_BYTES = 64 * 1024 * 1024  # from this size on a second thread pays off
SENT_BYTES = 4 * 1024 * 1024
# So many pieces may be written before they are hashed: they are still in the page cache then. Where a processor hashes
# more slowly than a disk writes, a large file would otherwise be read from the disk again.
AHEAD = 64
HASHED_BYTES = 1024 * 1024
WRITE_BACK_BYTES = 16 * 1024 * 1024


class Updated(Protocol):
    """The part of a hash's interface that takes bytes."""

    def update(self, data: bytes | memoryview, /) -> None: ...


class ReadFailed(Exception):
    """Reading the source failed; a bare OSError would be taken for one of the destination."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def go_on() -> None:
    """A pause in which nothing is done."""


def is_worth_a_thread(size_bytes: int) -> bool:
    """Whether an item of this size is hashed in a second thread."""
    return size_bytes >= BIG_BYTES and len(os.sched_getaffinity(0)) > 1


def read(fd: int, buffer: memoryview) -> int:
    """One read(2) of the source; raises ReadFailed."""
    try:
        return os.readv(fd, [buffer])
    except OSError as error:
        raise ReadFailed(error) from error


def copy_in_turn(
    fd: int,
    out: int,
    hashes: Sequence[Updated],
    size_bytes: int,
    buffer: memoryview,
    pause: Callable[[], None] = go_on,
) -> int:
    """Read, hash and write up to the end of `fd`, or until there are more than `size_bytes`. Returns the count. `pause`
    is called now and then."""
    done = started = 0
    while count := read(fd, buffer):
        done += count
        if done > size_bytes:  # it grew: the attempt fails, so stop here
            break
        part = buffer[:count]
        for one in hashes:
            one.update(part)
        syscalls.write_all(out, part)
        if done - started >= WRITE_BACK_BYTES:
            syscalls.start_writeback(out, started, done - started)
            started = done
            pause()
    return done


def copy_hashing_aside(
    fd: int,
    out: int,
    hashes: Sequence[Updated],
    size_bytes: int,
    buffer: memoryview,
    pause: Callable[[], None] = go_on,
) -> int:
    """Like `copy_in_turn`, but the kernel copies while a second thread hashes what `out` holds by then. `out` is
    readable."""
    if not (done := _send(fd, out, 0, size_bytes)):
        return copy_in_turn(fd, out, hashes, size_bytes, buffer, pause)
    with EarlySync.of_file(out) as early, _Hashing(out, hashes) as hashing:
        started = 0
        hashing.hash_up_to(done)
        while count := _send(fd, out, done, size_bytes):
            done += count
            hashing.hash_up_to(done)
            if done - started >= WRITE_BACK_BYTES:
                early.staged(done - started)
                started = done
                pause()
        return done


def _send(fd: int, out: int, at: int, size_bytes: int) -> int:
    """Let the kernel copy the next piece of `fd`, which never shares blocks between the two as copy_file_range may. One
    byte beyond the size shows that the source grew. 0 at the end, or where a file system cannot do it."""
    try:
        return os.sendfile(out, fd, at, min(SENT_BYTES, size_bytes + 1 - at))
    except OSError as error:
        if at == 0 and error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        _require_readable(fd, at)
        raise


def _require_readable(fd: int, at: int) -> None:
    """Raise ReadFailed if it is the source that fails: sendfile(2) does not say which of the two."""
    try:
        os.preadv(fd, [bytearray(1)], at)
    except OSError as error:
        raise ReadFailed(error) from error


class _Hashing:
    """A thread that hashes what a file holds, from its start. Leaving the block waits for it."""

    def __init__(self, fd: int, hashes: Sequence[Updated]) -> None:
        self._fd, self._hashes = fd, hashes
        self._ends: queue.Queue[int | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dropslot-hash", daemon=True)

    def __enter__(self) -> _Hashing:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ends.put(None)
        self._thread.join()
        if self._error and kind is None:
            raise self._error

    def hash_up_to(self, end: int) -> None:
        """The file holds its bytes up to here. Waits while too much is not hashed yet; raises what hashing met."""
        if self._error:
            raise self._error
        self._ends.put(end)

    def _run(self) -> None:
        buffer, at = memoryview(bytearray(HASHED_BYTES)), 0
        try:
            while (end := self._ends.get()) is not None:
                while at < end:
                    at += self._hash(buffer[: end - at], at)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that writes
            self._error = error
            while self._ends.get() is not None:  # it may wait for room
                pass

    def _hash(self, buffer: memoryview, at: int) -> int:
        count = os.preadv(self._fd, [buffer], at)
        if not count:
            raise OSError(errno.EIO, "The file is shorter than what was written to it")
        for one in self._hashes:
            one.update(buffer[:count])
        return count
