"""Uploads many files: this thread reads and hashes, the event loop sends. After a lost connection it continues."""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

from dropslot.sftp import runtime
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import lost
from dropslot.sftp.login import Unreachable
from dropslot.sftp.pace import Pace
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.transfers.bytes_in_flight import Room
from dropslot.sftp.transfers.feed import MOST_BYTES, Feed
from dropslot.sftp.transfers.file_transfer import Sending
from dropslot.sftp.transfers.large import Large
from dropslot.sftp.transfers.upload_state import Known
from dropslot.sftp.wire import Attributes, Garbled

SMALL_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 255 * 1024 * 2
MARK_BYTES = 64 * 1024 * 1024
WIDE_FILES = 8
_MOST_FINISHING = 4  # large files that wait for their last sync, while the next one is sent
# Waits before it continues after a lost connection, as long as nothing new is confirmed in between.
DELAYS_SECONDS = (0.1, 0.5, 2.0)
_PAUSE = threading.Event()  # never set: waiting for it is this module's sleep


class Hash(Protocol):
    """The interface of hashlib's objects."""

    def copy(self) -> Hash: ...
    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...


_Hashes = tuple[Hash, ...]


class File(NamedTuple):
    """One file to send. `path` is that at the server."""

    number: int
    path: str
    size_bytes: int
    mtime_ns: int


class Round(NamedTuple):
    """What belongs to one connection."""

    own: runtime.Runtime
    feed: Feed
    sending: Sending
    finishing: deque[int]  # numbers of large files


class _NotDurable(Exception):
    """The server has other bytes than those it acknowledged and synced."""


class Upload(ABC):
    """Files on their way into one folder of a server. A subclass knows where they come from."""

    strict = True  # whether a server must set the attributes
    read_back = False
    leftovers = False  # whether another process may have left parts of these files, which are removed
    compares = False  # whether files that were begun before are compared, or sent again
    in_order = False  # whether what is there is believed by its size: see Believed
    mark_bytes = MARK_BYTES
    piece_bytes = PIECE_BYTES
    # When the upload ends early: how long to wait for what is under way, before the connection is given up.
    patience_seconds: float | None = None

    def __init__(
        self, account: Account, folder: str, attributes: Attributes, pace: Pace, algorithms: Sequence[str]
    ) -> None:
        self.account, self.folder, self.attributes, self.pace = account, folder, attributes, pace
        self.algorithms = algorithms
        self.known = Known()
        self.digests: dict[int, list[bytes]] = {}
        # By number: what was said to be durable before this process began. Its last piece is compared.
        self.durable: dict[int, int] = {}
        self._fresh: _Hashes = ()
        self._states: dict[int, dict[int, _Hashes]] = {}  # by number and mark

    # What a subclass says

    @abstractmethod
    def files(self) -> Iterable[File]:
        """All files, in the order in which they are sent."""

    @abstractmethod
    def open(self, number: int) -> int:
        """A descriptor of the file, proved to be the right one."""

    @abstractmethod
    def unreadable(self, number: int, error: OSError) -> Exception:
        """The error for a file that cannot be read to its end."""

    @abstractmethod
    def miscounted(self, number: int, count: int) -> Exception:
        """The error for a file that has more or fewer bytes than it should."""

    @abstractmethod
    def gone(self) -> Exception:
        """The error for a folder at the server that is gone."""

    @abstractmethod
    def is_wide(self) -> bool:
        """Whether more than one channel pays off."""

    @abstractmethod
    async def prepare(self, connection: Connection, *, again: bool) -> Mapping[int, int]:
        """Make ready for sending over a new connection; returns the sizes of files that were begun before and are to be
        compared. `again`: an earlier connection may have left parts."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All files are opened inside of it."""
        yield

    def was_read(self, number: int, fd: int) -> None:  # noqa: B027 - nothing needs to be done
        """Called when a file has been read to its end."""

    def check(self) -> None:  # noqa: B027
        """Called often; what it raises ends the upload."""

    def most_bytes(self) -> int:
        """How many bytes may be on their way to the server."""
        return MOST_BYTES

    # The work

    def run(self) -> None:
        """Send all. Raises what the subclass raises, DiskFull, StorageFault, DestinationUnready and its like."""
        tries, before = 0, self.known.amount
        while True:
            try:
                self._round(again=self.leftovers or tries > 0 or bool(before))
            except (ConnectionGone, Garbled, Unreachable) as error:
                tries = 1 if self.known.amount > before else tries + 1
                before = self.known.amount
                if tries > len(DELAYS_SECONDS):
                    raise (
                        error if isinstance(error, Unreachable) else lost(self.account.server, error)
                    ) from error
                self.check()
                _PAUSE.wait(DELAYS_SECONDS[tries - 1])
            else:
                return

    def _round(self, *, again: bool) -> None:
        """Send all unconfirmed files over one connection."""
        own = runtime.current()
        connection, parts = own.run(self._connected(again=again))
        sending = Sending(
            connection,
            self.folder,
            self.gone,
            self.attributes,
            self.known,
            self.read_back,
            again and not self.compares,
            parts,
            self.strict,
            self.in_order,
            Room(self.most_bytes()),
        )
        # Twice: while some files are written, the next ones are opened.
        feed = Feed(own.loop, min(2 * self.most_bytes(), MOST_BYTES))
        try:
            with self.reading():
                for file in self.files():
                    if file.number not in self.known.confirmed:
                        self.send(Round(own, feed, sending, deque()), file)
            feed.finish()
        except (ConnectionGone, Garbled):
            own.loop.call_soon_threadsafe(connection.end, "it was lost")
            raise
        finally:
            if not feed.settle(self.patience_seconds):
                own.loop.call_soon_threadsafe(connection.end, "the upload ended")
                feed.settle()

    async def _connected(self, *, again: bool) -> tuple[Connection, Mapping[int, int]]:
        connection = await runtime.current().connection(self.account)
        if self.is_wide():
            connection.widen()  # meanwhile
        parts = await self.prepare(connection, again=again)
        if self.is_wide():
            # Otherwise all would go over the first, whose process syncs one after the other.
            await connection.widened()
        return connection, parts

    def send(self, now: Round, file: File) -> None:
        """Read and hash one file, and hand it to the loop."""
        self.check()
        fd = self.open(file.number)
        try:
            if file.size_bytes > min(SMALL_BYTES, self.pace.step() or SMALL_BYTES):
                self._send_large(now, fd, file)
                return
            data = self._whole(fd, file)
            self.was_read(file.number, fd)
        finally:
            os.close(fd)
        digests = self.digests[file.number] = _updated(self._hashes(), data)
        self.pace.wait(len(data), self.check)
        job = partial(self.send_small, now.sending, file, data, digests[0])
        now.feed.put(job, len(data))

    async def send_small(self, sending: Sending, file: File, data: bytes, sha256: bytes) -> None:
        await sending.small(file.number, file.path, data, file.mtime_ns, sha256)

    def _hashes(self) -> _Hashes:
        # They are copied for each file, never created there: in a forked child that would take a lock of OpenSSL which
        # another thread may have held at the fork.
        self._fresh = self._fresh or tuple(
            hashlib.new(name, usedforsecurity=False) for name in self.algorithms
        )
        return tuple(one.copy() for one in self._fresh)

    def _whole(self, fd: int, file: File) -> bytes:
        """The bytes of a small file, which are as many as they should be."""
        parts, count = [], 0
        try:
            while part := os.read(fd, file.size_bytes + 1 - count):
                parts.append(part)
                count += len(part)
                if count > file.size_bytes:
                    break
        except OSError as error:
            raise self.unreadable(file.number, error) from error
        if count != file.size_bytes:
            raise self.miscounted(file.number, count)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _send_large(self, now: Round, fd: int, file: File) -> None:
        if len(now.finishing) >= _MOST_FINISHING:
            now.feed.finish()
            now.finishing.clear()
        large = Large(now.sending, *file, self.mark_bytes)
        start = now.own.run(large.open())
        try:
            try:
                digests = self._send_pieces(now, fd, file, large, start)
            except _NotDurable:  # all that is there is compared
                now.feed.finish()
                now.own.run(large.rewind())
                digests = self._send_pieces(now, fd, file, large, 0)
            self.was_read(file.number, fd)
        except BaseException:
            now.feed.settle()
            now.own.run(large.let_go())
            raise
        self.digests[file.number] = digests
        now.finishing.append(file.number)
        now.feed.put(partial(self.finish_large, large, digests[0]), 0)

    async def finish_large(self, large: Large, sha256: bytes) -> None:
        await large.finish(sha256)
        self._states.pop(large.number, None)

    def _send_pieces(self, now: Round, fd: int, file: File, large: Large, start: int) -> list[bytes]:
        states = self._states.setdefault(file.number, {0: self._hashes()})
        hashed = max(mark for mark in states if mark <= start)
        hashes = tuple(one.copy() for one in states[hashed])
        offset = self._hash_again(fd, file, hashes, hashed, start)
        there = now.sending.there(file.number, file.path, start)
        until = now.sending.parts.get(file.number, 0)
        try:
            while data := self._piece(fd, offset, file):
                for one in hashes:
                    one.update(data)
                equal = now.own.run(there.equal_bytes(data)) if offset < until else 0
                if equal < len(data) and offset < self.durable.pop(file.number, 0) and there.is_readable:
                    raise _NotDurable
                self._send_piece(now, large, offset, data, equal)
                offset += len(data)
                if offset % self.mark_bytes == 0:
                    states[offset] = tuple(one.copy() for one in hashes)
        finally:
            now.own.run(there.close())
        if offset != file.size_bytes:
            raise self.miscounted(file.number, offset)
        return [one.digest() for one in hashes]

    def _send_piece(self, now: Round, large: Large, offset: int, data: bytes, equal: int) -> None:
        """Send a piece without its first `equal` bytes, which are there."""
        if equal:
            now.own.run(large.passed(offset, equal))
        if missing := len(data) - equal:
            self.pace.wait(missing, self.check)
            now.feed.put(partial(large.piece, offset + equal, memoryview(data)[equal:]), missing)

    def _hash_again(self, fd: int, file: File, hashes: _Hashes, offset: int, start: int) -> int:
        """Hash what the server has durably from an earlier process; returns `start`."""
        try:
            os.lseek(fd, offset, os.SEEK_SET)
        except OSError as error:
            raise self.unreadable(file.number, error) from error
        while offset < start:
            data = self._piece(fd, offset, file, start - offset)
            if not data:
                raise self.miscounted(file.number, offset)
            for one in hashes:
                one.update(data)
            offset += len(data)
        return offset

    def _piece(self, fd: int, offset: int, file: File, most_bytes: int = SMALL_BYTES) -> bytes:
        """The next piece. It ends at a mark, so that only whole pieces are durable or not."""
        self.check()
        to_mark = min(self.mark_bytes - offset % self.mark_bytes, most_bytes)
        try:
            return os.read(fd, min(self.piece_bytes, self.pace.step() or to_mark, to_mark))
        except OSError as error:
            raise self.unreadable(file.number, error) from error


def _updated(hashes: _Hashes, data: bytes) -> list[bytes]:
    for one in hashes:
        one.update(data)
    return [one.digest() for one in hashes]
