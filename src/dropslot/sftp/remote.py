"""Files and folders of a server, by path. A missing file or ability is None or False; a refusal raises Said."""

from __future__ import annotations

import asyncio
import posixpath
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

from dropslot.core.errors import StorageFault
from dropslot.core.fullness import percent_full
from dropslot.core.names import escape
from dropslot.core.showing.quantities import chunks
from dropslot.sftp import wire
from dropslot.sftp.channel import Channel
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Attributes, Garbled, Said

READS_AT_ONCE = 32
AT_ONCE = 256  # requests of one kind in one batch
OPEN_AT_ONCE = 128  # folders: a server's process often has no more than 1,024 descriptors


class Space(NamedTuple):
    """Of a whole file system, and what this account may still use."""

    total_bytes: int
    free_bytes: int
    total_inodes: int
    free_inodes: int
    percent_full: int
    used_bytes: int
    file_system: int  # an id of it; 0: the server gives none


def join(folder: str, name: str) -> str:
    """`name` in `folder`; either may be empty or `.`."""
    if folder in ("", "."):
        return name or "."
    return f"{folder.rstrip('/')}/{name}" if name else folder


async def look(connection: Connection, paths: Sequence[str]) -> list[Attributes | None]:
    """The attributes of each path, no link followed; None if there is nothing."""
    replies = await connection.ask(*(wire.on(wire.LSTAT, path) for path in paths))
    return [wire.found(reply) for reply in replies]


async def look_one(connection: Connection, path: str) -> Attributes | None:
    return (await look(connection, [path]))[0]


async def are_folders(connection: Connection, paths: Sequence[str]) -> list[bool]:
    """Whether each path is a folder, or a link to one."""
    replies = await connection.ask(*(wire.on(wire.STAT, path) for path in paths))
    return [seen is not None and seen.is_folder for seen in map(wire.found, replies)]


async def listing(connection: Connection, folder: str) -> dict[str, Attributes] | None:
    """The entries of a folder; None if there is no such folder."""
    channel = connection.channel()
    return await listing_of(channel, await channel.one(wire.on(wire.OPENDIR, folder)))


async def listing_of(channel: Channel, opened: wire.Reply) -> dict[str, Attributes] | None:
    """The entries of the folder that OPENDIR opened; closes it. None if there was no folder."""
    try:
        handle = wire.handle(opened)
    except Said as said:
        if said.code == wire.NO_SUCH_FILE:
            return None
        raise
    entries: dict[str, Attributes] = {}
    ahead = 2  # a small folder needs one answer, and its end is in the next
    try:
        while True:
            before = len(entries)
            for reply in await channel.ask(*[wire.of(wire.READDIR, handle)] * ahead):
                entries.update(wire.names(reply))
            if len(entries) == before and ahead > 2:  # the first may be `.` and `..` alone
                raise Garbled("an endless list of a folder")
            ahead = min(2 * ahead, READS_AT_ONCE)
    except Said as said:
        if said.code == wire.NO_SUCH_FILE:  # some servers check only now
            return None
        if said.code != wire.END:
            raise
    finally:
        channel.ask(wire.close(handle))
    return entries


async def make_folders(connection: Connection, paths: Sequence[str], mode: int | None = None) -> list[bool]:
    """Make folders, parents first; returns for each whether it was made (False: something is there already)."""
    attributes = Attributes(mode=mode)
    # Always the same channel, so that of two calls at once the first one's folders are there for the second one's.
    channel, made = connection.channels[0], []
    for start in range(0, len(paths), AT_ONCE):
        chunk = paths[start : start + AT_ONCE]
        replies = await channel.ask(*(wire.make_folder(path, attributes) for path in chunk))
        for path, reply in zip(chunk, replies, strict=True):
            made.append(await _made(channel, path, attributes, reply))
    return made


async def _made(channel: Channel, path: str, attributes: Attributes, reply: wire.Reply) -> bool:
    try:
        try:
            wire.done(reply)
        except Said as said:
            if said.code != wire.NO_SUCH_FILE:
                raise
            # The server did not keep the order: the folder above was not there yet.
            wire.done(await channel.one(wire.make_folder(path, attributes)))
    except Said:
        if wire.found(await channel.one(wire.on(wire.LSTAT, path))) is None:
            raise
        return False
    return True


def aside_of(path: str) -> str:
    """A random name beside a folder, under which it is removed."""
    return f"{posixpath.dirname(path)}/gone-{secrets.token_hex(8)}"


async def remove_tree(connection: Connection, path: str, aside: str | None = None) -> None:
    """Remove a folder with all that is in it; fine when it is gone.

    It first gets a random name: a worker that still wants to publish from it finds nothing, so that it can publish no
    folder from which something was already removed. A caller that gives the same name (`aside_of`) again after a cut
    leaves nothing behind.
    """
    aside = aside or aside_of(path)
    try:
        wire.done(await connection.one(wire.rename(path, aside)))
    except Said:
        if await look_one(connection, path) is not None:
            aside = path
    await _remove(connection, aside, asyncio.Semaphore(OPEN_AT_ONCE))


async def _remove(connection: Connection, path: str, may_open: asyncio.Semaphore) -> None:
    for _ in range(10):  # something new may appear meanwhile
        async with may_open:
            entries = await listing(connection, path)
        if entries is None:
            return
        folders = [name for name, seen in entries.items() if seen.is_folder]
        files = [join(path, name) for name, seen in entries.items() if not seen.is_folder]
        await remove_files(connection, files)
        await asyncio.gather(*(_remove(connection, join(path, name), may_open) for name in folders))
        reply = await connection.one(wire.on(wire.RMDIR, path))
        try:
            wire.done(reply)
        except Said as said:
            if said.code not in (wire.FAILURE, wire.NO_SUCH_FILE):
                raise
        else:
            return
    wire.done(reply)


async def remove_files(connection: Connection, paths: Sequence[str]) -> None:
    """Remove files; those that are gone are fine."""
    batches = [paths[start : start + AT_ONCE] for start in range(0, len(paths), AT_ONCE)]
    asked = [connection.ask(*(wire.on(wire.REMOVE, path) for path in batch)) for batch in batches]
    for replies in await asyncio.gather(*asked):
        for reply in replies:
            _unless_missing(reply)


def _unless_missing(reply: wire.Reply) -> None:
    try:
        wire.done(reply)
    except Said as said:
        if said.code != wire.NO_SUCH_FILE:
            raise


async def remove_empty(connection: Connection, folders: Iterable[str]) -> None:
    """Remove those of the folders that are empty, in this order; nothing else is touched."""
    await connection.ask(*(wire.on(wire.RMDIR, path) for path in folders))


async def may_read(connection: Connection) -> bool:
    """Whether the server lets this account read at all: it says so also of a file that is not open."""
    try:
        wire.data(await connection.one(wire.read(b"", 0, 1)))
    except Said as said:
        return said.code != wire.PERMISSION_DENIED
    return True


async def read(connection: Connection, path: str, start: int = 0) -> AsyncIterator[bytes]:
    """The bytes of a file from `start` on, with many reads in flight. Raises Said NO_SUCH_FILE."""
    channel = connection.channel()
    handle = wire.handle(await channel.one(wire.open_file(path, wire.FOR_READING)))
    try:
        async for piece in _pieces(channel, handle, start):
            yield piece
    finally:
        channel.ask(wire.close(handle))


def _asked_for(reply: wire.Reply, most: int) -> bytes:
    if len(piece := wire.data(reply)) > most:
        raise Garbled(f"{len(piece)} bytes where {most} were asked for")
    return piece


async def _pieces(channel: Channel, handle: bytes, at: int) -> AsyncIterator[bytes]:
    step, ahead, asked = channel.longest_read, 2, at
    under_way: list[asyncio.Future[list[wire.Reply]]] = []
    while True:
        while len(under_way) < ahead:
            under_way.append(channel.ask(wire.read(handle, asked, step)))
            asked += step
        piece = _asked_for((await under_way.pop(0))[0], step)
        if not piece:
            return
        yield piece
        at += len(piece)
        if len(piece) < step:  # the end, or a server that gives less at a time
            under_way, asked = [], at
        ahead = min(ahead * 2, READS_AT_ONCE)


async def sync_folders(connection: Connection, folders: Sequence[str]) -> bool:
    """Make the names in folders durable; False when the server cannot (OpenSSH opens folders as it does files).

    Raises StorageFault when it can and fails.
    """
    if wire.FSYNC not in connection.extensions:
        return False
    may_open = asyncio.Semaphore(OPEN_AT_ONCE)
    return all(await asyncio.gather(*(_sync_folder(connection, folder, may_open) for folder in folders)))


async def _sync_folder(connection: Connection, folder: str, may_open: asyncio.Semaphore) -> bool:
    async with may_open:
        return (await (await open_folder(connection, folder)).sync()).was_synced


class Synced(NamedTuple):
    """`replies`: the answers to what was asked before the sync."""

    replies: list[wire.Reply]
    was_synced: bool


class OpenFolder(NamedTuple):
    """A folder that is open for one sync. `handle` is None where the server cannot sync it."""

    path: str
    channel: Channel
    handle: bytes | None

    async def sync(self, *first: wire.Request) -> Synced:
        """Ask `first`, then make the names in the folder durable and close it, in one round trip: OpenSSH, which alone
        syncs folders, keeps the order. Raises StorageFault when the server can sync it and fails."""
        if self.handle is None:
            return Synced(await self.channel.ask(*first), was_synced=False)
        last = wire.extended(wire.FSYNC, wire.text(self.handle)), wire.close(self.handle)
        *replies, synced, _ = await self.channel.ask(*first, *last)
        return Synced(replies, self._was_synced(synced))

    def _was_synced(self, reply: wire.Reply) -> bool:
        try:
            wire.done(reply)
        except Said as said:
            if said.code != wire.FAILURE:
                return False  # it knows no sync of folders
            raise StorageFault(
                f"Syncing the folder {escape(self.path)} to the server's disk failed: {escape(said.text)[:200]}",
                where="Published files stay; the rest waits",
                next_step="Look at the server's disk and log; it is retried",
            ) from said
        return True


async def open_folder(connection: Connection, folder: str) -> OpenFolder:
    """Open a folder that is to be synced later."""
    channel = connection.channel()
    if wire.FSYNC not in connection.extensions:
        return OpenFolder(folder, channel, None)
    try:
        handle = wire.handle(await channel.one(wire.open_file(folder, wire.FOR_READING)))
    except Said:
        return OpenFolder(folder, channel, None)
    return OpenFolder(folder, channel, handle)


async def space(connection: Connection, path: str) -> Space | None:
    """The file system of a path; None if the server does not say."""
    if wire.STATVFS not in connection.extensions:
        return None
    try:
        reader = wire.extended_reply(await connection.one(wire.extended(wire.STATVFS, wire.path(path))))
    except Said:
        return None
    return _space(reader)


async def spaces(connection: Connection, paths: Sequence[str]) -> list[Space | None]:
    """The same for many paths, in one batch."""
    if wire.STATVFS not in connection.extensions:
        return [None] * len(paths)
    asked = [wire.extended(wire.STATVFS, wire.path(path)) for path in paths]
    found: list[Space | None] = []
    for some in chunks(asked, AT_ONCE):
        for reply in await connection.ask(*some):
            try:
                found.append(_space(wire.extended_reply(reply)))
            except Said:
                found.append(None)
    return found


def _space(reader: wire.Reader) -> Space:
    _size, unit, blocks, free, usable, inodes, _ifree, free_inodes, system = (
        reader.integer(8) for _ in range(9)
    )
    full = percent_full(blocks, free, usable)
    return Space(blocks * unit, usable * unit, inodes, free_inodes, full, (blocks - free) * unit, system)
