"""Uploads all items of an arrival into a stage: this thread reads and hashes, the event loop sends. After a lost
connection it continues."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from dropslot.destinations.layout import Layout
from dropslot.destinations.sftp.sending import MARK_BYTES, Large, Sending
from dropslot.destinations.sftp.staging import RemoteStage
from dropslot.files import copying
from dropslot.files import faults as faults_of_storage
from dropslot.files.copying import READ, Hash, changed, fresh_hashes, miscounted
from dropslot.files.descriptors import Descent
from dropslot.files.listing import Item
from dropslot.sftp import runtime
from dropslot.sftp.accounts import Account
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import lost
from dropslot.sftp.feed import Feed
from dropslot.sftp.login import Unreachable
from dropslot.sftp.pace import Pace
from dropslot.sftp.wire import Attributes, Garbled

SMALL_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 255 * 1024 * 2
WIDE_ITEMS = 8
# Waits before it continues after a lost connection, as long as nothing new is confirmed in between.
DELAYS_SECONDS = (0.1, 0.5, 2.0)
_PAUSE = threading.Event()  # never set: waiting for it is this module's sleep

_Hashes = tuple[Hash, ...]


@dataclass(slots=True)
class Upload:
    """One arrival on its way into one stage."""

    account: Account
    stage: RemoteStage
    layout: Layout
    attributes: Attributes
    read_back: bool
    pace: Pace
    source: int  # descriptor of the arrival's folder, or of the one that holds its single file
    items: Sequence[Item]
    algorithms: Sequence[str]
    lease: bool
    unleased: int = 0
    synced: bool = True
    digests: dict[int, list[bytes]] = field(default_factory=dict)
    _fresh: _Hashes = ()
    _confirmed: set[int] = field(default_factory=set)
    _marks: dict[int, int] = field(default_factory=dict)
    _states: dict[int, dict[int, _Hashes]] = field(default_factory=dict)

    def run(self) -> None:
        """Send all. Raises SourceChanged, SourceUnready, DiskFull, StorageFault, DestinationUnready, TakenOver."""
        tries, before = 0, self._progress()
        while True:
            try:
                self._round(again=tries > 0 or bool(before))
            except (ConnectionGone, Garbled, Unreachable) as error:
                tries = 1 if self._progress() > before else tries + 1
                before = self._progress()
                if tries > len(DELAYS_SECONDS):
                    raise (
                        error if isinstance(error, Unreachable) else lost(self.account.server, error)
                    ) from error
                _PAUSE.wait(DELAYS_SECONDS[tries - 1])
            else:
                return

    def _progress(self) -> int:
        return len(self._confirmed) + sum(self._marks.values())

    def _round(self, *, again: bool) -> None:
        """Send all unconfirmed items over one connection."""
        own = runtime.current()
        connection = own.run(self._connected(again=again))
        sending = Sending(
            connection,
            self.stage,
            self.attributes,
            self.read_back,
            again,
            self._confirmed,
            self._marks,
            self.synced,
        )
        feed = Feed(own.loop)
        sources = Descent(self.source)
        try:
            for number, item in enumerate(self.items):
                if number not in self._confirmed:
                    self._send(own, feed, sending, sources, number, item)
            feed.finish()
        except (ConnectionGone, Garbled):
            own.loop.call_soon_threadsafe(connection.end, "it was lost")
            raise
        finally:
            sources.close()
            feed.settle()
            self.synced = sending.synced

    async def _connected(self, *, again: bool) -> Connection:
        connection = await runtime.current().connection(self.account)
        if again:
            await self.stage.require(connection)
        if is_wide(self.items):
            await (
                connection.widened()
            )  # otherwise all would go over the first, whose process syncs one after the other
        return connection

    def _send(
        self, own: runtime.Runtime, feed: Feed, sending: Sending, sources: Descent, number: int, item: Item
    ) -> None:
        fd = self._opened(sources, item)
        path = f"{self.stage.path}/{self.layout.path(item.path)}"
        try:
            if item.size_bytes > SMALL_BYTES:
                self._send_large(
                    own, feed, Large(sending, number, path, item.size_bytes, item.mtime_ns), fd, item
                )
                return
            data = _whole(fd, item)
        finally:
            os.close(fd)
        hashes = self._hashes()
        digests = self.digests[number] = _updated(hashes, data)
        self.pace.wait(len(data))
        feed.put(partial(sending.small, number, path, data, item.mtime_ns, digests[0]), len(data))

    def _hashes(self) -> _Hashes:
        self._fresh = self._fresh or fresh_hashes(self.algorithms)
        return tuple(one.copy() for one in self._fresh)

    def _opened(self, sources: Descent, item: Item) -> int:
        """Open the item, proved to be the listed one, under a lease if the system grants one."""
        folder, _, name = item.path.rpartition("/")
        try:
            fd = os.open(name, READ, dir_fd=sources.fd(folder))
        except OSError as error:
            raise faults_of_storage.at_source(error, item.path) from error
        try:
            _require_same(fd, item)
            if self.lease and not copying.take_lease(fd, item.path):
                self.unleased += 1
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _send_large(self, own: runtime.Runtime, feed: Feed, large: Large, fd: int, item: Item) -> None:
        feed.finish()  # the pieces of a large file are counted separately
        start = own.run(large.open())
        states = self._states.setdefault(large.number, {0: self._hashes()})
        hashes = tuple(one.copy() for one in states[start])
        offset = start
        while data := _piece(fd, offset, item):
            for one in hashes:
                one.update(data)
            self.pace.wait(len(data))
            feed.put(partial(large.piece, offset, data), len(data))
            offset += len(data)
            if offset % MARK_BYTES == 0:
                states[offset] = tuple(one.copy() for one in hashes)
        if offset != item.size_bytes:
            raise miscounted(item, offset)
        feed.finish()
        self.digests[large.number] = [one.digest() for one in hashes]
        own.run(large.finish(self.digests[large.number][0]))
        del self._states[large.number]


def is_wide(items: Sequence[Item]) -> bool:
    """Whether more than one channel pays off."""
    return len(items) > WIDE_ITEMS or any(item.size_bytes > SMALL_BYTES for item in items)


def _require_same(fd: int, item: Item) -> None:
    seen = os.fstat(fd)
    now = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    if now != item[1:] or seen.st_nlink != 1 or seen.st_mode & 0o170000 != 0o100000:
        raise changed(item, seen)


def _updated(hashes: _Hashes, data: bytes) -> list[bytes]:
    for one in hashes:
        one.update(data)
    return [one.digest() for one in hashes]


def _whole(fd: int, item: Item) -> bytes:
    """The bytes of a small item. Raises SourceChanged if there are more or fewer than listed."""
    parts, count = [], 0
    try:
        while part := os.read(fd, item.size_bytes + 1 - count):
            parts.append(part)
            count += len(part)
            if count > item.size_bytes:
                break
    except OSError as error:
        raise faults_of_storage.at_source(error, item.path) from error
    if count != item.size_bytes:
        raise miscounted(item, count)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _piece(fd: int, offset: int, item: Item) -> bytes:
    """The next piece. It ends at a mark, so that only whole pieces are durable or not."""
    to_mark = MARK_BYTES - offset % MARK_BYTES
    try:
        return os.pread(fd, min(PIECE_BYTES, to_mark), offset)
    except OSError as error:
        raise faults_of_storage.at_source(error, item.path) from error
