"""Sends one large file to the server, piece by piece, over several channels."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dropslot.sftp import wire
from dropslot.sftp.channel import Channel, ConnectionGone
from dropslot.sftp.transfers.file_transfer import NEW, Sending, writes
from dropslot.sftp.wire import Garbled, Said

WAYS = 4  # channels for writing a large file: each has its own window


class Large:
    """A file that does not fit into one batch. Its pieces go over several channels. It is synced at each multiple of
    `mark_bytes`, where it can be resumed."""

    def __init__(
        self, sending: Sending, number: int, path: str, size_bytes: int, mtime_ns: int, mark_bytes: int
    ) -> None:
        self.sending, self.number, self.path = sending, number, path
        self.size_bytes, self.mtime_ns, self.mark_bytes = size_bytes, mtime_ns, mark_bytes
        self._ways: list[tuple[Channel, bytes]] = []
        self._sync: tuple[Channel, bytes] | None = None
        self._under_way: set[int] = set()  # offsets
        self._reached = 0  # offset of the next piece
        self._syncing = self._failed = False
        self._busy = 0  # how many pieces are being written
        self._quiet = asyncio.Event()

    async def open(self) -> int:
        """Open it on all ways; returns the offset from which to send."""
        try:
            return await self._open()
        except Said as said:
            raise await self.sending.typed(said, self.path) from said

    async def _open(self) -> int:
        connection = self.sending.connection
        await connection.widened()
        channels = sorted(connection.channels, key=lambda channel: channel.pending_bytes)
        del channels[1 + (1 if self.sending.in_order else WAYS) :]
        start = self.sending.known.marks.get(self.number, 0)
        begun = start or self.number in self.sending.parts
        if self.sending.again and not begun:
            await channels[0].one(wire.on(wire.REMOVE, self.path))
        opening = wire.open_file(self.path, wire.FOR_WRITING if begun else NEW, self.sending.create_as())
        handles = [wire.handle(await channels[0].one(opening))]
        other = wire.open_file(self.path, wire.FOR_WRITING)
        handles += [wire.handle(r) for r in await asyncio.gather(*(c.one(other) for c in channels[1:]))]
        ways = list(zip(channels, handles, strict=True))
        # A sync blocks its channel, so it has a channel of its own.
        self._sync = ways.pop() if len(ways) > 1 else None
        self._ways = ways
        self._reached = start
        return start

    async def piece(self, offset: int, data: bytes | memoryview) -> None:
        """Write a piece and wait for the answers."""
        self._busy += 1
        self._under_way.add(offset)
        self._reached = max(self._reached, offset + len(data))
        try:
            await self._write(offset, data)
            self._under_way.discard(offset)
            self.sending.known.moved(self.number, len(data))
            await self._sync_at_mark()
        except BaseException as error:
            self._failed = True
            if isinstance(error, Said):
                raise await self.sending.typed(error, self.path) from error
            raise
        finally:
            self._busy -= 1
            self._quiet.set()

    async def _write(self, offset: int, data: bytes | memoryview) -> None:
        async with self.sending.room.of(len(data)):
            channel, handle = min(self._ways, key=lambda one: one[0].pending_bytes)
            channel.pending_bytes += len(data)
            try:
                for reply in await channel.ask(*writes(channel, handle, offset, data)):
                    wire.done(reply)
            finally:
                channel.pending_bytes -= len(data)

    async def passed(self, offset: int, size_bytes: int) -> None:
        """These bytes are there already."""
        self._reached = max(self._reached, offset + size_bytes)
        self.sending.known.moved(self.number, size_bytes)
        await self._sync_at_mark()

    async def rewind(self) -> None:
        """Begin anew at the start: what is there is not what was synced."""
        self._reached = 0
        self.sending.known.mark(self.number, 0)

    async def _sync_at_mark(self) -> None:
        """Sync during the writing: the disk works at the same time, and a lost connection costs one mark at most."""
        acknowledged = min(self._under_way, default=self._reached)
        mark = acknowledged // self.mark_bytes * self.mark_bytes
        if self._sync is None or self._syncing or mark <= self.sending.known.marks.get(self.number, 0):
            return
        channel, handle = self._sync
        if requests := self.sending.sync_of(handle):
            self._syncing = True
            replies = await channel.ask(*requests)
            self._syncing = False
            self.sending.note_sync(self.path, replies)
            if self.sending.known.synced:
                self.sending.known.mark(self.number, mark)

    async def finish(self, sha256: bytes) -> None:
        """Set attributes, sync, close and compare, after all pieces are acknowledged. If one of them failed, this does
        nothing."""
        while self._busy:
            self._quiet.clear()
            await self._quiet.wait()
        if not self._failed:
            await self._finish(sha256)

    async def _finish(self, sha256: bytes) -> None:
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
        self.sending.known.confirm(self.number)

    async def let_go(self) -> None:
        """Close it as it is."""
        ways = [*self._ways, *([self._sync] if self._sync else [])]
        with suppress(ConnectionGone, Garbled):
            await asyncio.gather(*(channel.one(wire.close(handle)) for channel, handle in ways))
