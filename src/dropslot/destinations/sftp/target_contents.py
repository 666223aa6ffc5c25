"""Finds out what a target already holds, in as few round trips as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.destinations.base import Stored
from dropslot.destinations.layout import safe
from dropslot.sftp import remote
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import join
from dropslot.sftp.wire import Attributes

_FEW = 4  # after so many single requests for names of one folder the folder is listed


class Looking:
    """A cached view of one target: the pipeline asks for names one after the other, and each costs a round trip."""

    def __init__(self, top: str) -> None:
        self.top = top
        self._listed: dict[str, dict[str, Attributes] | None] = {}
        self._asked: Counter[str] = Counter()
        self._folders = {""}

    async def at(self, connection: Connection, name: str) -> Attributes | None:
        """The entry at `name`; links are not followed. Raises DestinationUnready if a folder on the way is a link."""
        folder, _, last = safe(name).rpartition("/")
        if folder in self._listed:
            entries = self._listed[folder]
            return entries.get(last) if entries is not None else None
        if not await self._descend(connection, folder):
            return None
        self._asked[folder] += 1
        if self._asked[folder] > _FEW:
            self._listed[folder] = await remote.listing(connection, join(self.top, folder))
            return await self.at(connection, name)
        return await remote.look_one(connection, join(self.top, name))

    async def _descend(self, connection: Connection, folder: str) -> bool:
        """Whether the folder is there, and no link leads to it."""
        paths = [path for path in _prefixes(folder) if path not in self._folders]
        if not paths:
            return True
        for path, seen in zip(
            paths, await remote.look(connection, [join(self.top, path) for path in paths]), strict=True
        ):
            if seen is None:
                return False
            if not seen.is_folder:
                raise DestinationUnready(
                    f"{escape(path)} at {escape(connection.account.server)} is a link or not a folder; dropslot never"
                    " reads or writes through it",
                    next_step="Move it out of the way, or make it a real folder; it is retried",
                )
            self._folders.add(path)
        return True


def _prefixes(folder: str) -> Sequence[str]:
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def stored(seen: Attributes | None) -> Stored | None:
    """The entry in the pipeline's form; times in whole seconds."""
    return None if seen is None else Stored(seen.is_file, seen.size or 0, (seen.mtime or 0) * 1_000_000_000)
