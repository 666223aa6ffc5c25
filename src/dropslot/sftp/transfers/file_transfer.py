"""Sends one file to the server: write, set attributes, sync, compare the size. A small file takes one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dropslot.core.errors import StorageFault
from dropslot.core.names import escape
from dropslot.sftp import remote, wire
from dropslot.sftp.channel import Channel
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import KEPT, ServerLied, explained
from dropslot.sftp.transfers.bytes_in_flight import Room
from dropslot.sftp.transfers.there import Believed, There
from dropslot.sftp.transfers.upload_state import Known
from dropslot.sftp.wire import Attributes, Reply, Request, Said

NEW = wire.FOR_WRITING | wire.CREATE | wire.EXCLUSIVE


@dataclass(slots=True)
class Sending:
    """The common settings and state of all files of one upload over one connection.

    All lies in `folder`; if that is gone, so is the upload, and `gone` makes the error that says so. `parts`: by
    number, how many bytes of a file are there and can be compared. `again`: an earlier connection may have left other
    parts, which are removed. `room`: for what is written.
    """

    connection: Connection
    folder: str
    gone: Callable[[], Exception]
    attributes: Attributes  # of every file, except its time
    known: Known = field(default_factory=Known)
    read_back: bool = False
    again: bool = False
    parts: Mapping[int, int] = field(default_factory=dict)
    strict: bool = True  # whether setting the attributes must succeed
    in_order: bool = False  # whether each file is written in order, because nothing can be read back
    room: Room = field(default_factory=Room)

    def with_time(self, mtime_ns: int) -> Attributes:
        own = self.attributes
        return Attributes(None, own.uid, own.gid, own.mode, wire.seconds(mtime_ns))

    def create_as(self) -> Attributes:
        return Attributes(mode=self.attributes.mode)

    def sync_of(self, handle: bytes) -> list[Request]:
        has = wire.FSYNC in self.connection.extensions
        return [wire.extended(wire.FSYNC, wire.text(handle))] if has else []

    async def small(self, number: int, path: str, data: bytes, mtime_ns: int, sha256: bytes) -> None:
        """Send a whole file."""
        channel = self.connection.channel()
        channel.pending_bytes += len(data)
        try:
            await self._small(channel, number, path, data, mtime_ns)
            if self.read_back:
                await self.compare(path, sha256)
        except Said as said:
            raise await self.typed(said, path) from said
        finally:
            channel.pending_bytes -= len(data)
        self.known.confirm(number)

    async def _small(self, channel: Channel, number: int, path: str, data: bytes, mtime_ns: int) -> None:
        start = 0
        if number in self.parts:
            start = await self._equal_bytes(number, path, data)
            flags = wire.FOR_WRITING | (0 if start else wire.TRUNCATE)
        else:
            flags = NEW
            if self.again:
                await channel.one(wire.on(wire.REMOVE, path))
        handle = wire.handle(await channel.one(wire.open_file(path, flags, self.create_as())))
        async with self.room.of(len(data) - start):
            pieces = writes(channel, handle, start, memoryview(data)[start:])
            await self.end(channel, handle, path, pieces, len(data), mtime_ns)
        self.known.moved(number, len(data))

    def there(self, number: int, path: str, start: int) -> There | Believed:
        """What the server has of a file from `start` on."""
        if self.in_order:
            return Believed(start, self.parts.get(number, 0))
        return There(self.connection, path, start)

    async def _equal_bytes(self, number: int, path: str, data: bytes) -> int:
        if not self.parts[number]:
            return 0
        there = self.there(number, path, 0)
        try:
            return await there.equal_bytes(data)
        finally:
            await there.close()

    async def end(
        self, channel: Channel, handle: bytes, path: str, pieces: list[Request], size: int, mtime_ns: int
    ) -> None:
        """Send the last requests for a file in one batch, and check all answers."""
        sync = self.sync_of(handle)
        replies = await channel.ask(
            *pieces,
            wire.set_attributes_of(handle, self.with_time(mtime_ns)),
            *sync,
            wire.close(handle),
            wire.on(wire.LSTAT, path),
        )
        count = len(pieces)
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
        self.known.synced = self.known.synced and bool(replies)
        for reply in replies:
            try:
                wire.done(reply)
            except Said as said:
                if said.code == wire.UNSUPPORTED:
                    self.known.synced = False
                    continue
                self.known.damaged.add(path)
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
        if said.code == wire.NO_SUCH_FILE and await remote.look_one(self.connection, self.folder) is None:
            return self.gone()
        return await explained(self.connection, said, f"Writing {escape(path)}", self.folder)


def writes(channel: Channel, handle: bytes, offset: int, data: bytes | memoryview) -> list[Request]:
    """The requests that write `data` at `offset`, each no longer than the server takes."""
    view, step = memoryview(data), channel.longest_write
    return [wire.write(handle, offset + at, view[at : at + step]) for at in range(0, len(data), step)]
