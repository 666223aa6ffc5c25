"""Copies items: each is opened once, proved to be the listed one, and hashed over the bytes that are written."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dropslot.core.errors import DropslotError, SourceUnready
from dropslot.core.names import escape
from dropslot.files import faults, syscalls
from dropslot.files.descriptors import Descent
from dropslot.files.listing import Item
from dropslot.files.modes import Modes
from dropslot.files.walk import difference
from dropslot.files.writing import dense
from dropslot.files.writing.dense import go_on
from dropslot.files.writing.holes import copy_keeping_holes, is_sparse

BUFFER_BYTES = 256 * 1024
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Hash(Protocol):
    """The interface of hashlib's objects."""

    def copy(self) -> Hash: ...
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


def fresh_hashes(algorithms: Sequence[str]) -> tuple[Hash, ...]:
    """One unused hash for each algorithm. They are copied for each item, never created there: in a forked child that
    would take a lock of OpenSSL which another thread may have held at the fork."""
    return tuple(hashlib.new(name, usedforsecurity=False) for name in algorithms)


@dataclass(slots=True)
class Job:
    """The common settings of all items of one staging. The descriptors belong to the caller."""

    source: int  # the arrival's folder, or the folder that holds its single file
    stage: int
    place: Callable[[str], str]  # folder of an item -> folder in the stage
    hashes: tuple[Hash, ...]
    modes: Modes
    sync_each: bool = False  # for network and FUSE file systems
    keep_open: bool = False  # for few items: their descriptors are kept for fsync
    early_sync: bool = False  # sync the file system now and then during the copying
    lease: bool = False  # read each item under a lease if the system grants one
    again: bool = False  # another process may have left some of these items, whole or not: they are removed
    pause: Callable[[], None] = go_on  # called now and then, between pieces of the work
    unleased: int = 0  # items that were read without a lease
    kept: list[int] = field(default_factory=list)

    @property
    def digest_bytes(self) -> int:
        """Length of one item's digests, joined."""
        return sum(len(h.digest()) for h in self.hashes)


def copy_items(job: Job, items: Iterable[Item], *, threads: bool = True) -> bytes:
    """Copy the items; returns their digests joined, in the job's order of algorithms, item after item.

    With `threads` a big item is hashed in one thread and written in another. Raises SourceChanged, SourceUnready,
    StorageFault, DiskFull, DestinationUnready, Refused.
    """
    sources, places = Descent(job.source), Descent(job.stage)
    try:
        if job.again:
            items = list(items)
            _remove_left(job, items, places)
        return _copy(job, items, sources, places, threads)
    finally:
        sources.close()
        places.close()


def _copy(job: Job, items: Iterable[Item], sources: Descent, places: Descent, threads: bool) -> bytes:
    """The loop over all items. One function with local names on purpose: it may run 100,000 times in a delivery."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    buffers = [buffer]
    os_open, fstat, readv, write, utime, close = os.open, os.fstat, os.readv, os.write, os.utime, os.close
    hashes, modes, sync_each, keep_open = job.hashes, job.modes, job.sync_each, job.keep_open
    single = hashes[0] if len(hashes) == 1 else None
    create_mode = 0o666 if modes.file_mode is None else modes.file_mode & 0o777
    set_modes = modes.gid is not None or modes.file_mode is not None
    digests: list[bytes] = []
    folder_now: str | None = None
    from_folder = to_folder = fd = out = -1
    for item in items:
        path, size, mtime, ctime, inode = item
        folder, _, name = path.rpartition("/")
        reading = True
        try:
            if folder != folder_now:
                from_folder = sources.fd(folder)
                reading = False
                to_folder = places.fd(job.place(folder))
                reading = True
                folder_now = folder
            fd = os_open(name, READ, dir_fd=from_folder)
            seen = fstat(fd)
            if (
                seen.st_ctime_ns != ctime
                or seen.st_mtime_ns != mtime
                or seen.st_size != size
                or seen.st_ino != inode
                or seen.st_nlink != 1
                or seen.st_mode & 0o170000 != 0o100000
            ):
                raise changed(item, seen)
            if job.lease and not take_lease(fd, path):
                job.unleased += 1
            reading = False
            out = os_open(name, CREATE, create_mode, dir_fd=to_folder)
            if size < BUFFER_BYTES:
                reading = True
                count = readv(fd, buffers)
                if count != size and (count := _read_on(fd, buffer, count)) != size:
                    raise miscounted(item, count)
                reading = False
                part = buffer[:count]
                if single is not None:
                    one = single.copy()
                    one.update(part)
                    digests.append(one.digest())
                else:
                    digests.append(_digests(hashes, part))
                if count and write(out, part) != count:
                    os.lseek(out, 0, os.SEEK_SET)
                    syscalls.write_all(out, part)
            else:
                digests.append(_copy_long(job, item, fd, out, buffer, threads, is_sparse(seen)))
            if set_modes:
                modes.of_file(out)
            utime(out, ns=(mtime, mtime))
            if sync_each:
                os.fsync(out)
            if keep_open:
                job.kept.append(os.dup(out))
            closing, out = out, -1
            close(closing)
        except OSError as error:
            raise _typed(error, job, path, reading) from error
        finally:
            if fd >= 0:
                close(fd)
                fd = -1
            if out >= 0:
                close(out)
                out = -1
    return b"".join(digests)


def _remove_left(job: Job, items: Sequence[Item], places: Descent) -> None:
    for item in items:
        folder, _, name = item.path.rpartition("/")
        try:
            os.unlink(name, dir_fd=places.fd(job.place(folder)))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _typed(error, job, item.path, reading=False) from error


def _read_on(fd: int, buffer: memoryview, count: int) -> int:
    """Read to the end after a short read, which a FUSE file system may give at any time. Returns the count of bytes."""
    while part := os.readv(fd, [buffer[count:]]) if count < len(buffer) else 0:
        count += part
    return count


def _digests(hashes: Sequence[Hash], data: memoryview) -> bytes:
    result = b""
    for fresh in hashes:
        one = fresh.copy()
        one.update(data)
        result += one.digest()
    return result


def _copy_long(
    job: Job, item: Item, fd: int, out: int, buffer: memoryview, threads: bool, sparse: bool
) -> bytes:
    """Copy an item that does not fit into the buffer."""
    hashes = [fresh.copy() for fresh in job.hashes]
    try:
        if sparse:
            count = copy_keeping_holes(fd, out, hashes, item.size_bytes, buffer, job.pause)
        elif threads and dense.is_worth_a_thread(item.size_bytes):
            count = dense.copy_hashing_aside(fd, out, hashes, item.size_bytes, buffer, job.pause)
        else:
            count = dense.copy_in_turn(fd, out, hashes, item.size_bytes, buffer, job.pause)
    except dense.ReadFailed as failed:
        raise faults.at_source(failed.error, item.path) from failed.error
    if count != item.size_bytes:
        raise miscounted(item, count)
    return b"".join(one.digest() for one in hashes)


def _typed(error: OSError, job: Job, path: str, reading: bool) -> DropslotError:
    if reading:
        return faults.at_source(error, path)
    if isinstance(error, PermissionError):
        return job.modes.denied(error, f"staging {escape(path)}")
    return faults.at_destination(error, f"staging {escape(path)}")


def require_same(fd: int, item: Item) -> None:
    """Raise SourceChanged if an open file is not the listed item."""
    seen = os.fstat(fd)
    now = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    if now != item[1:] or seen.st_nlink != 1 or seen.st_mode & 0o170000 != 0o100000:
        raise changed(item, seen)


def changed(item: Item, seen: os.stat_result) -> DropslotError:
    """The error for an item that differs from the listing when it is opened."""
    shown = escape(item.path)
    if not stat.S_ISREG(seen.st_mode):
        return faults.source_changed(f"{shown} was replaced by something that is not a regular file")
    if seen.st_nlink != 1:
        return faults.source_changed(f"{shown} got another hard link while the arrival was read")
    now = Item(item.path, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    return faults.source_changed(f"{shown} {difference(item, now)} before it was read")


def miscounted(item: Item, count: int) -> DropslotError:
    """The error for an item that gave more or fewer bytes than its size."""
    verb = "grew" if count > item.size_bytes else "shrank"
    return faults.source_changed(
        f"{escape(item.path)} {verb} while it was read: it had {item.size_bytes:,} bytes"
    )


_SETSIG = 10  # F_SETSIG, which the fcntl module does not have


def take_lease(fd: int, path: str) -> bool:
    """Lease an open item until its descriptor is closed. False: the system grants none (another owner and no CAP_LEASE,
    or a file system without leases). Raises SourceUnready while a program has the item open for writing."""
    try:
        # The default, SIGIO, would end this process when a program opens the item for writing. SIGURG is ignored.
        # For each file, not SIGIO ignored once: that works in main threads only, and in somebody's Django project SIGIO
        # may have a handler, which leases would call or we would replace. It costs about a microsecond a file.
        fcntl.fcntl(fd, _SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            return False
        raise SourceUnready(
            f"{escape(path)} is still open for writing in some program",
            where="Nothing of the arrival was delivered; it waits in processing",
            next_step="It is retried, and goes on when that program has closed the file",
        ) from error
    return True
