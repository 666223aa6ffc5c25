"""Reads stored files and takes their SHA-256: several at a time, at most at a given rate."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from types import TracebackType
from typing import Self

from dropslot.core.addressing.addresses import place_of
from dropslot.core.errors import DropslotError, StorageFault
from dropslot.destinations import place_at
from dropslot.files import faults, filesystems
from dropslot.files.descriptors import Folder
from dropslot.keeping.fixity.fixity_report import GONE, Seen, StoredFile
from dropslot.sftp.pace import Pace

# A server that does not answer is not asked again for each of 100,000 files.
_ASKED = 3
_NOT_ASKED = (
    "it was not read, because its destination did not answer for the files before it: it is not verified"
)
_UNREACHABLE = {
    *(errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN, errno.ECONNABORTED, errno.ECONNRESET),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNREFUSED),
    *(errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED),  # the service's ticket for a network file system
}
_THREADS = 2  # hashing and reading both leave Python's lock, so that two use two processors
_AHEAD = 2 * _THREADS
_FILES, _BYTES = 64, 32 << 20  # in one piece of work
_BUFFER_BYTES = 256 << 10  # stays in the processor's cache


def nothing() -> None:
    """Called between two pieces of a file, if nobody wants to know."""


class Reader:
    """Use it as a context manager. `check` is called often: what it raises ends the reading. `counted` gets the number
    of bytes after each piece. `fresh`: what the system keeps in memory of a file of this machine is given up first, so
    that its disk is read."""

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        check: Callable[[], None] = nothing,
        counted: Callable[[int], None] | None = None,
        fresh: bool = False,
    ) -> None:
        self._pace, self._check, self._counted, self._fresh = pace or Pace(), check, counted, fresh
        self._pool = ThreadPoolExecutor(_THREADS, "dropslot-fixity")
        self._own = threading.local()
        self._away: Counter[str] = Counter()  # by place: consecutive files for which it did not answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def look(self, files: Sequence[StoredFile]) -> Iterator[Seen]:
        """What is found of each, in order. Raises what `check` raises."""
        under_way: deque[Future[list[Seen]]] = deque()
        for some in _pieces(files):
            under_way.append(self._pool.submit(self._seen_all, some))
            if len(under_way) > _AHEAD:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()

    def forget_away(self, place: str) -> None:
        """Ask a place again that did not answer."""
        self._away.pop(place, None)

    def _seen_all(self, files: Sequence[StoredFile]) -> list[Seen]:
        return [self.seen(one) for one in files]

    def seen(self, file: StoredFile) -> Seen:
        """What is found of one file."""
        place = place_key(file.url)
        if self._away[place] >= _ASKED:
            return Seen(file, fault=_NOT_ASKED, is_away=True)
        try:
            found = self.digest(file.url, file.stored_as)
        except (DropslotError, OSError) as error:
            is_away = _is_away(error, file.url)
            self._away[place] += is_away
            what = error.what if isinstance(error, DropslotError) else error
            return Seen(file, fault=f"it could not be read, so it is not verified: {what}", is_away=is_away)
        self._away[place] = 0
        return _compared(file, found)

    def digest(self, url: str, name: str) -> str | None:
        """SHA-256 (hex) of what is at a destination now; None if nothing is there. Raises DropslotError, OSError."""
        destination, target = place_at(url)
        if destination.path_here(url, name) is not None:
            fd = destination.open_here(target, name)
            return None if fd is None else self.digest_of(fd, name)
        digest = sha256(usedforsecurity=False)
        try:
            for piece in destination.read(target, name):
                digest.update(piece)
                self._had(len(piece))
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def digest_of(self, fd: int, name: str) -> str:
        """SHA-256 (hex) of an open file of this machine; closes it. Raises StorageFault, OSError."""
        digest, buffer = sha256(usedforsecurity=False), self._buffer()
        view = memoryview(buffer)
        with os.fdopen(fd, "rb", buffering=0) as stream:
            self._give_up_memory(fd)
            try:
                while count := stream.readinto(buffer):
                    digest.update(view[:count])
                    self._had(count)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise faults.at_destination(error, f"reading {name}") from error
                raise
            self._give_up_memory(fd)
        return digest.hexdigest()

    def _give_up_memory(self, fd: int) -> None:
        if self._fresh:
            with suppress(OSError):  # some file systems have no such advice
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _buffer(self) -> bytearray:
        if not hasattr(self._own, "buffer"):
            self._own.buffer = bytearray(_BUFFER_BYTES)
        buffer: bytearray = self._own.buffer
        return buffer

    def _had(self, count: int) -> None:
        self._check()
        self._pace.wait(count, self._check)
        if self._counted is not None:
            self._counted(count)


def place_key(url: str) -> str:
    """What answers or does not answer as a whole: a server, or a target of this machine."""
    return place_of(url) or url


def _is_away(error: DropslotError | OSError, url: str) -> bool:
    """Whether the place of a file does not answer, which says nothing about the file. A network file system says EIO,
    too, when its server is away; a disk of this machine says it of what it cannot read."""
    cause = error if isinstance(error, OSError) else error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    if number in _UNREACHABLE:
        return True
    if number in (errno.EIO, errno.EREMOTEIO):
        return _is_on_network(url)
    return isinstance(error, DropslotError) and not isinstance(error, StorageFault)


def _is_on_network(url: str) -> bool:
    path = place_at(url)[0].path_here(url, "")
    if path is None:
        return False
    try:
        with Folder(os.open(path, os.O_PATH | os.O_CLOEXEC)) as folder:
            return filesystems.is_network(filesystems.kind_of(folder.fd))
    except OSError:
        return True  # it does not even say what it is


def _compared(file: StoredFile, found: str | None) -> Seen:
    if found is None:
        return Seen(file, fault=GONE)
    fault = f"it was changed: delivered with SHA-256 {file.sha256}, now {found}"
    return Seen(file, found, "" if found == file.sha256 else fault)


def _pieces(files: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
    """Neighbours that are read by one thread, so that small files cost little more than their reading."""
    some: list[StoredFile] = []
    size = 0
    for one in files:
        some.append(one)
        size += one.size_bytes
        if len(some) == _FILES or size >= _BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
