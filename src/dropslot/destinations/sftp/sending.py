"""Sends one file to the server: write, set attributes, sync, compare the size. A small file takes one batch."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field

from dropslot.core.errors import StorageFault
from dropslot.core.names import escape
from dropslot.destinations.sftp.staging import RemoteStage, gone
from dropslot.sftp import remote, wire
from dropslot.sftp.channel import Channel
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import KEPT, ServerLied, explained
from dropslot.sftp.wire import Attributes, Reply, Said

NEW = wire.FOR_WRITING | wire.CREATE | wire.EXCLUSIVE
MARK_BYTES = 64 * 1024 * 1024  # a large file is synced at each multiple of this, and can be resumed there
WAYS = 4  # channels for writing a large file: each has its own window


@dataclass(slots=True)
class Sending:
    """The common settings and state of all files of one staging. `again`: an earlier connection may have left parts."""

    connection: Connection
    stage: RemoteStage
    attributes: Attributes  # of every file, except its time
    read_back: bool = False
    again: bool = False
    confirmed: set[int] = field(default_factory=set)  # numbers of the items that the server has, as proved
    marks: dict[int, int] = field(default_factory=dict)  # item -> bytes that are durable there
    synced: bool = True  # whether the server synced all of it

    @property
    def strict(self) -> bool:
        """Whether setting the attributes must succeed. A refusal is accepted if only times are set."""
        return self.attributes != wire.NOTHING

    def with_time(self, mtime_ns: int) -> Attributes:
        own = self.attributes
        return Attributes(None, own.uid, own.gid, own.mode, wire.seconds(mtime_ns))

    def create_as(self) -> Attributes:
        return Attributes(mode=self.attributes.mode)

    def sync_of(self, handle: bytes) -> list[wire.Request]:
        has = wire.FSYNC in self.connection.extensions
        return [wire.extended(wire.FSYNC, wire.text(handle))] if has else []

    async def small(self, number: int, path: str, data: bytes, mtime_ns: int, sha256: bytes) -> None:
        """Send a whole file."""
        channel = self.connection.channel()
        channel.pending_bytes += len(data)
        try:
            await self._small(channel, path, data, mtime_ns)
            if self.read_back:
                await self.compare(path, sha256)
        except Said as said:
            raise await self.typed(said, path) from said
        finally:
            channel.pending_bytes -= len(data)
        self.confirmed.add(number)

    async def _small(self, channel: Channel, path: str, data: bytes, mtime_ns: int) -> None:
        if self.again:
            await channel.one(wire.on(wire.REMOVE, path))
        handle = wire.handle(await channel.one(wire.open_file(path, NEW, self.create_as())))
        await self.end(channel, handle, path, _writes(channel, handle, 0, data), len(data), mtime_ns)

    async def end(
        self, channel: Channel, handle: bytes, path: str, writes: list[wire.Request], size: int, mtime_ns: int
    ) -> None:
        """Send the last requests for a file in one batch, and check all answers."""
        sync = self.sync_of(handle)
        replies = await channel.ask(
            *writes,
            wire.set_attributes_of(handle, self.with_time(mtime_ns)),
            *sync,
            wire.close(handle),
            wire.on(wire.LSTAT, path),
        )
        count = len(writes)
        for reply in (*replies[:count], replies[-2]):
            wire.done(reply)
        self._attributes_set(replies[count])
        self.note_sync(path, replies[count + 1 : -2])
        await self._has_size(channel, path, replies[-1], size)

    def _attributes_set(self, reply: Reply) -> None:
        try:
            wire.done(reply)
        except Said:
            if self.strict:
                raise

    def note_sync(self, path: str, replies: list[Reply]) -> None:
        self.synced = self.synced and bool(replies)
        for reply in replies:
            try:
                wire.done(reply)
            except Said as said:
                if said.code == wire.UNSUPPORTED:
                    self.synced = False
                    continue
                raise StorageFault(
                    f"Syncing {escape(path)} to the server's disk failed: {escape(said.text)[:200]}",
                    where="The source is untouched; the staged data is thrown away",
                    next_step="Look at the server's disk, quota and log; it is staged again",
                ) from said

    async def _has_size(self, channel: Channel, path: str, reply: Reply, size: int) -> None:
        seen = wire.found(reply)
        if seen is None or seen.size != size:  # some servers do not keep the order of requests: ask again
            seen = wire.found(await channel.one(wire.on(wire.LSTAT, path)))
        if seen is None or seen.size != size or not seen.is_file:
            has = "nothing" if seen is None else f"{seen.size or 0:,} bytes"
            raise ServerLied(
                f"{self.connection.account.server} acknowledged {size:,} bytes of {escape(path)} and has {has}",
                where=KEPT,
                next_step="Check the server: its disk or its program loses data. It is staged again",
            )

    async def compare(self, path: str, sha256: bytes) -> None:
        """Read the file back and compare it with the sent bytes."""
        digest = hashlib.sha256(usedforsecurity=False)
        async for piece in remote.read(self.connection, path):
            digest.update(piece)
        if digest.digest() != sha256:
            raise ServerLied(
                f"{self.connection.account.server} acknowledged {escape(path)} and returns other bytes",
                where=KEPT,
                next_step="Check the server: its disk or its program changes data. It is staged again",
            )

    async def typed(self, said: Said, path: str) -> Exception:
        if said.code == wire.NO_SUCH_FILE and await remote.look_one(self.connection, self.stage.path) is None:
            return gone(self.stage)
        return await explained(self.connection, said, f"Staging {escape(path)}", self.stage.path)


def _writes(channel: Channel, handle: bytes, offset: int, data: bytes) -> list[wire.Request]:
    view, step = memoryview(data), channel.longest_write
    return [wire.write(handle, offset + at, view[at : at + step]) for at in range(0, len(data), step)]


class Large:
    """A file that does not fit into one batch. Its pieces go over several channels, and it is synced at each mark."""

    def __init__(self, sending: Sending, number: int, path: str, size_bytes: int, mtime_ns: int) -> None:
        self.sending, self.number, self.path = sending, number, path
        self.size_bytes, self.mtime_ns = size_bytes, mtime_ns
        self._ways: list[tuple[Channel, bytes]] = []
        self._sync: tuple[Channel, bytes] | None = None
        self._under_way: set[int] = set()  # offsets
        self._reached = 0  # offset of the next piece
        self._syncing = False

    async def open(self) -> int:
        """Open it on all ways; returns the offset from which to send."""
        try:
            return await self._open()
        except Said as said:
            raise await self.sending.typed(said, self.path) from said

    async def _open(self) -> int:
        connection = self.sending.connection
        await connection.widened()
        channels = sorted(connection.channels, key=lambda channel: channel.pending_bytes)[: WAYS + 1]
        start = self.sending.marks.get(self.number, 0)
        if self.sending.again and not start:
            await channels[0].one(wire.on(wire.REMOVE, self.path))
        opening = wire.open_file(self.path, wire.FOR_WRITING if start else NEW, self.sending.create_as())
        handles = [wire.handle(await channels[0].one(opening))]
        other = wire.open_file(self.path, wire.FOR_WRITING)
        handles += [wire.handle(r) for r in await asyncio.gather(*(c.one(other) for c in channels[1:]))]
        ways = list(zip(channels, handles, strict=True))
        # A sync blocks its channel, so it has a channel of its own.
        self._sync = ways.pop() if len(ways) > 1 else None
        self._ways = ways
        self._reached = start
        return start

    async def piece(self, offset: int, data: bytes) -> None:
        """Write a piece and wait for the answers."""
        way = min(self._ways, key=lambda one: one[0].pending_bytes)
        channel, handle = way
        channel.pending_bytes += len(data)
        self._under_way.add(offset)
        self._reached = max(self._reached, offset + len(data))
        try:
            for reply in await channel.ask(*_writes(channel, handle, offset, data)):
                wire.done(reply)
        except Said as said:
            raise await self.sending.typed(said, self.path) from said
        finally:
            channel.pending_bytes -= len(data)
        self._under_way.discard(offset)
        await self._sync_at_mark()

    async def _sync_at_mark(self) -> None:
        """Sync during the writing: the disk works at the same time, and a lost connection costs one mark at most."""
        acknowledged = min(self._under_way, default=self._reached)
        mark = acknowledged // MARK_BYTES * MARK_BYTES
        if self._sync is None or self._syncing or mark <= self.sending.marks.get(self.number, 0):
            return
        channel, handle = self._sync
        if requests := self.sending.sync_of(handle):
            self._syncing = True
            replies = await channel.ask(*requests)
            self._syncing = False
            self.sending.note_sync(self.path, replies)
            if self.sending.synced:
                self.sending.marks[self.number] = mark

    async def finish(self, sha256: bytes) -> None:
        """Set attributes, sync, close and compare, after all pieces are acknowledged."""
        others = [*self._ways[1:], *([self._sync] if self._sync else [])]
        try:
            # A server may report only at the end that it could not store the data.
            for reply in await asyncio.gather(
                *(channel.one(wire.close(handle)) for channel, handle in others)
            ):
                wire.done(reply)
            channel, handle = self._ways[0]
            await self.sending.end(channel, handle, self.path, [], self.size_bytes, self.mtime_ns)
            if self.sending.read_back:
                await self.sending.compare(self.path, sha256)
        except Said as said:
            raise await self.sending.typed(said, self.path) from said
        self.sending.confirmed.add(self.number)
