"""Gives staged items their final names on a server, by operations that a probe showed to replace nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dropslot.core.errors import DestinationUnready, StorageFault
from dropslot.core.names import escape
from dropslot.destinations.layout import Entry
from dropslot.destinations.sftp.modes import RemoteModes
from dropslot.destinations.sftp.probe import Naming
from dropslot.destinations.sftp.staging import RemoteStage
from dropslot.sftp import remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import typed
from dropslot.sftp.remote import join
from dropslot.sftp.wire import Request, Said

_AT_ONCE = 128


@dataclass(slots=True)
class Publication:
    """Publishes the tree of one stage into its home. `touched`: folders that may have got names. `given`: names that
    the server confirmed. `making`: folders that were requested and may have no mode yet."""

    connection: Connection
    stage: RemoteStage
    naming: Naming
    modes: RemoteModes
    given: set[str]
    making: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)

    async def publish_new(self, prefix: str) -> bool:
        """Publish the whole tree by one rename of the topmost folder of `prefix`; False if that exists already."""
        if not self.naming.whole_folders:
            return False
        top = prefix.partition("/")[0]
        old, new = f"{self.stage.tree}/{top}", join(self.stage.home, top)
        self.touched.add("")  # before the request: its answer may be lost
        try:
            wire.done(await self.connection.one(wire.rename(old, new)))
        except Said as said:
            if await remote.look_one(self.connection, new) is not None:
                return False  # foreign, or published before a crash: going entry by entry finds out
            await self.stage.require(self.connection)
            raise typed(self.connection.account.server, said, f"Publishing {escape(new)}") from said
        return True

    async def publish(self, folders: Sequence[str], entries: Sequence[Entry]) -> list[Entry]:
        """Returns the entries whose name something else has. `folders` must exist afterwards, parents first."""
        await self._make_folders(folders, entries)
        taken: list[Entry] = []
        left = [entry for entry in entries if entry.final not in self.given]
        for start in range(0, len(left), _AT_ONCE * 8):
            chunk = left[start : start + _AT_ONCE * 8]
            batches = [chunk[at : at + _AT_ONCE] for at in range(0, len(chunk), _AT_ONCE)]
            for some in await asyncio.gather(*(self._name(batch) for batch in batches)):
                taken += some
        return taken

    async def _make_folders(self, folders: Sequence[str], entries: Sequence[Entry]) -> None:
        wanted: dict[str, None] = {}
        for path in (*folders, *(entry.final.rpartition("/")[0] for entry in entries)):
            parts = path.split("/") if path else []
            for count in range(1, len(parts) + 1):
                wanted["/".join(parts[:count])] = None
        paths = [join(self.stage.home, path) for path in wanted]
        missing = [
            (path, name)
            for path, name, seen in zip(paths, wanted, await self._looked(paths), strict=True)
            if not self._is_there(path, seen) or name in self.making
        ]
        if missing:
            await self.stage.require(self.connection)
            await self._make([path for path, _ in missing], [name for _, name in missing])

    async def _make(self, paths: Sequence[str], names: Sequence[str]) -> None:
        # Update both sets first: the connection may end when some are made.
        self.touched |= {name.rpartition("/")[0] for name in names}
        ours = {path for path, name in zip(paths, names, strict=True) if name in self.making}
        self.making |= set(names)
        await self.modes.make_folders(self.connection, paths, ours)
        self.making -= set(names)

    async def _looked(self, paths: Sequence[str]) -> list[wire.Attributes | None]:
        seen: list[wire.Attributes | None] = []
        for start in range(0, len(paths), remote.AT_ONCE):
            seen += await remote.look(self.connection, paths[start : start + remote.AT_ONCE])
        return seen

    def _is_there(self, path: str, seen: wire.Attributes | None) -> bool:
        if seen is not None and not seen.is_folder:
            raise DestinationUnready(
                f"{escape(path)} at {escape(self.connection.account.server)} is a link or not a folder; dropslot never"
                " writes through it",
                where="Published files stay; the rest waits",
                next_step="Move it out of the way, or make it a real folder; it is retried",
            )
        return seen is not None

    def _giving(self) -> Callable[[str, str], Request]:
        # link, not rename: rename might replace an earlier delivery.
        return wire.link if self.naming.links else wire.rename

    async def _name(self, entries: Sequence[Entry]) -> list[Entry]:
        give = self._giving()
        replies = await self.connection.ask(
            *(give(f"{self.stage.tree}/{one.staged}", join(self.stage.home, one.final)) for one in entries)
        )
        taken = []
        for entry, reply in zip(entries, replies, strict=True):
            try:
                wire.done(reply)
            except Said as said:
                if not await self._is_ours(entry, said):
                    taken.append(entry)
                    continue
            self.given.add(entry.final)
            self.touched.add(entry.final.rpartition("/")[0])
        return taken

    async def _is_ours(self, entry: Entry, said: Said) -> bool:
        """Whether the name already has our bytes, because an answer was lost or a crash followed. They are read back,
        never assumed. False: something else has the name."""
        staged, there = await remote.look(
            self.connection, [f"{self.stage.tree}/{entry.staged}", join(self.stage.home, entry.final)]
        )
        if there is None:
            await self.stage.require(self.connection)
            if staged is None:
                raise _lost(entry)
            raise typed(self.connection.account.server, said, f"Publishing {escape(entry.final)}") from said
        same_size = staged is None or staged.size == there.size
        if there.is_file and same_size and await self._digest(entry.final) == entry.sha256:
            return True
        if staged is None:
            await self.stage.require(self.connection)
            raise _lost(entry)
        return False

    async def _digest(self, path: str) -> str | None:
        return await digest(self.connection, join(self.stage.home, path))

    async def give(self, staged: str, final: str) -> bool:
        """Give one staged file (a path in the stage) its final path; False when something has it."""
        try:
            wire.done(await self.connection.one(self._giving()(f"{self.stage.path}/{staged}", final)))
        except Said as said:
            if await remote.look_one(self.connection, final) is None:
                await self.stage.require(self.connection)
                raise typed(self.connection.account.server, said, f"Publishing {escape(final)}") from said
            return False
        return True


def _lost(entry: Entry) -> StorageFault:
    return StorageFault(
        f"{escape(entry.final)} is no longer staged or published at the server",
        where="The source is untouched",
        next_step="Find out who else writes into the target; it is staged again",
    )


async def digest(connection: Connection, path: str) -> str | None:
    """SHA-256 (hex) of a regular file, read back; None if there is none."""
    seen = await remote.look_one(connection, path)
    if seen is None or not seen.is_file:
        return None
    found = hashlib.sha256(usedforsecurity=False)
    try:
        async for piece in remote.read(connection, path):
            found.update(piece)
    except Said as said:
        if said.code == wire.NO_SUCH_FILE:
            return None
        raise
    return found.hexdigest()
