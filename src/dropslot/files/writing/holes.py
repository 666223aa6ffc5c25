"""Sparse items: holes are hashed as zeros, as they are read, and stay holes in the copy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence

from dropslot.files import syscalls
from dropslot.files.descriptors import Descent
from dropslot.files.listing import Listing
from dropslot.files.writing import dense
from dropslot.files.writing.dense import Updated

_BLOCK_BYTES = 512  # the unit of st_blocks on every file system
_PIECE_BYTES = 1024 * 1024


def is_sparse(seen: os.stat_result) -> bool:
    """Whether holes make up a sixteenth of a file or more; with less it is copied as a dense file, which is faster."""
    return seen.st_blocks * _BLOCK_BYTES < seen.st_size - (seen.st_size >> 4)


def copy_keeping_holes(
    fd: int,
    out: int,
    hashes: Sequence[Updated],
    size_bytes: int,
    buffer: memoryview,
    pause: Callable[[], None] = dense.go_on,
) -> int:
    """Like `dense.copy_in_turn`, for an empty `out`. Returns the count of bytes, or the size of `fd` if it changed."""
    at = paused = 0
    for start, end in _runs_of_data(fd, size_bytes):
        _hash_zeros(hashes, start - at, pause)
        os.lseek(fd, start, os.SEEK_SET)
        os.lseek(out, start, os.SEEK_SET)
        at = start
        while at < end and (count := dense.read(fd, buffer[: end - at])):
            part = buffer[:count]
            for one in hashes:
                one.update(part)
            syscalls.write_all(out, part)
            at += count
            if at - paused >= dense.WRITE_BACK_BYTES:
                paused = at
                pause()
        if at < end:
            return at
    _hash_zeros(hashes, size_bytes - at, pause)
    os.ftruncate(out, size_bytes)
    return os.fstat(fd).st_size


def _runs_of_data(fd: int, size_bytes: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each run. A file system without holes gives the whole file as one run."""
    end = 0
    while end < size_bytes:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size_bytes)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data after this
                return
            if error.errno != errno.EINVAL:
                raise dense.ReadFailed(error) from error
            start, end = end, size_bytes
        if start >= size_bytes:
            return
        yield start, end


def _hash_zeros(hashes: Sequence[Updated], count: int, pause: Callable[[], None]) -> None:
    zeros = memoryview(bytes(min(count, _PIECE_BYTES)))
    while count > 0:
        part = zeros[:count]
        for one in hashes:
            one.update(part)
        count -= len(part)
        pause()


def allocated_bytes(source: int, listing: Listing) -> int:
    """The bytes that the items use on their disk, or their listed sizes if they are gone. `source`: their folder."""
    descent = Descent(source)
    try:
        return sum(_allocated(descent, item.path, item.size_bytes) for item in listing.items)
    finally:
        descent.close()


def _allocated(descent: Descent, path: str, size_bytes: int) -> int:
    folder, _, name = path.rpartition("/")
    try:
        seen = os.stat(name, dir_fd=descent.fd(folder), follow_symlinks=False)
    except OSError:
        return size_bytes  # the copying reports the fault
    return min(size_bytes, seen.st_blocks * _BLOCK_BYTES)
