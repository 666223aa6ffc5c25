"""Copies the bytes of one item between descriptors and hashes them: in turn, or in a second thread."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from dropslot.files import syscalls
from dropslot.files.writing.earlysync import EarlySync

BIG_BYTES = 64 * 1024 * 1024  # from this size on a second thread pays off
RING_BUFFERS = 8
RING_BUFFER_BYTES = 1024 * 1024
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
    fd: int, out: int, hashes: Sequence[Updated], size_bytes: int, pause: Callable[[], None] = go_on
) -> int:
    """Like `copy_in_turn`, but hashes in a second thread, with a ring of buffers."""
    with EarlySync.of_file(out) as early, _Hashing(hashes) as hashing:
        done = started = 0
        while True:
            buffer = hashing.free_buffer()
            count = read(fd, buffer)
            done += count
            if not count or done > size_bytes:
                return done
            part = buffer[:count]
            hashing.take(buffer, part)
            # The same buffer is hashed meanwhile. It is filled again only after both are done with it.
            syscalls.write_all(out, part)
            if done - started >= WRITE_BACK_BYTES:
                early.staged(done - started)
                started = done
                pause()


class _Hashing:
    """A thread that hashes full buffers in order and returns them. Leaving the block waits for it."""

    def __init__(self, hashes: Sequence[Updated]) -> None:
        self._hashes = hashes
        self._full: queue.SimpleQueue[tuple[memoryview, memoryview] | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dropslot-hash", daemon=True)
        for _ in range(RING_BUFFERS):
            self._free.put(memoryview(bytearray(RING_BUFFER_BYTES)))

    def __enter__(self) -> _Hashing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._full.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def free_buffer(self) -> memoryview:
        buffer = self._free.get()
        if buffer is None:
            raise RuntimeError("hashing failed") from self._error
        return buffer

    def take(self, buffer: memoryview, part: memoryview) -> None:
        self._full.put((buffer, part))

    def _run(self) -> None:
        try:
            while work := self._full.get():
                buffer, part = work
                for one in self._hashes:
                    one.update(part)
                self._free.put(buffer)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
            self._free.put(None)
