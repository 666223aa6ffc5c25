"""Group and modes of files and folders on a server. Version 3 of the protocol knows groups only by number."""

from __future__ import annotations

import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.destinations.base import Rules
from dropslot.sftp import remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.faults import KEPT
from dropslot.sftp.wire import Attributes, Said

_GROUPS = "/etc/group"


@dataclass(frozen=True, slots=True)
class RemoteModes:
    """`None`: the folder above (setgid bit, default ACL) and the server's umask decide, as for any new file."""

    uid: int | None = None
    gid: int | None = None
    file_mode: int | None = None
    folder_mode: int | None = None

    @property
    def of_folders(self) -> bool:
        """Whether anything must be set on folders."""
        return self.gid is not None or self.folder_mode is not None

    def of_files(self) -> Attributes:
        """The attributes of every delivered file, except its time."""
        own = (self.uid, self.gid) if self.gid is not None else (None, None)
        return Attributes(None, own[0], own[1], self.file_mode)

    async def make_folders(
        self, connection: Connection, paths: Sequence[str], ours: Collection[str] = ()
    ) -> list[bool]:
        """Make folders, parents first, with group and mode; an inherited setgid bit stays, as chmod(1) keeps it.
        Folders in `ours` get both even if they exist: an earlier connection may have ended in between."""
        made = await remote.make_folders(connection, paths, self.folder_mode)
        new = [path for path, is_new in zip(paths, made, strict=True) if is_new or path in ours]
        if not self.of_folders or not new:
            return made
        for path in new:  # one after the other: a folder inherits what the one above got
            await self._set(connection, path)
        return made

    async def _set(self, connection: Connection, path: str) -> None:
        seen = await remote.look_one(connection, path)
        inherited = (seen.mode or 0) & stat.S_ISGID if seen else 0
        mode = None if self.folder_mode is None else self.folder_mode | inherited
        if seen and mode in (None, stat.S_IMODE(seen.mode or 0)) and self.gid in (None, seen.gid):
            return  # correct already; setting it again would require membership of the group
        own = (self.uid, self.gid) if self.gid is not None else (None, None)
        set_, looked = await connection.ask(
            wire.set_attributes(path, Attributes(None, own[0], own[1], mode)), wire.on(wire.LSTAT, path)
        )
        try:
            wire.done(set_)
        except Said as said:
            raise self._denied(path, escape(said.text)) from said
        now = wire.found(looked)
        if mode is not None and now is not None and stat.S_IMODE(now.mode or 0) != mode:
            raise self._denied(
                path, f"its mode is {stat.S_IMODE(now.mode or 0):o} after it was set to {mode:o}"
            )

    def _denied(self, path: str, why: str) -> DestinationUnready:
        group = f" (group {self.gid})" if self.gid is not None else ""
        return DestinationUnready(
            f"Group and mode of {escape(path)} cannot be set{group}: {why}",
            where=KEPT,
            next_step="Add the account to the group there, or correct `group` and `folder_mode`; it is retried",
        )


async def resolve(connection: Connection, rules: Rules, uid: int | None) -> RemoteModes:
    """Raises DestinationUnready if the group is unknown."""
    gid = None if rules.group is None else await _gid(connection, rules.group)
    return RemoteModes(uid, gid, rules.file_mode, rules.folder_mode)


async def _gid(connection: Connection, group: str) -> int:
    if group.isascii() and group.isdecimal():
        return int(group)
    text = b""
    try:
        async for piece in remote.read(connection, _GROUPS):
            text += piece
    except Said:
        text = b""
    for line in text.decode("utf-8", "replace").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split(":")[1:2]
        if name == group and number and number[0].isdecimal():
            return int(number[0])
    why = f"{_GROUPS} there has no such group" if text else f"{_GROUPS} cannot be read there"
    raise DestinationUnready(
        f"The number of group '{escape(group)}' at {escape(connection.account.server)} cannot be determined: {why}",
        where=KEPT,
        next_step="Write the number itself as `group`, in quotes; `getent group NAME` on the server shows it",
    )
