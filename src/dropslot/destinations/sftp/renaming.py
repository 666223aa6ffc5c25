"""Gives a delivered file at a server another name, by operations that a probe showed to replace nothing."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

from dropslot.core.errors import DestinationUnready, Unsupported
from dropslot.core.names import escape
from dropslot.destinations.sftp.probe import Naming
from dropslot.destinations.sftp.publishing import digest
from dropslot.sftp import remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import join
from dropslot.sftp.wire import Said

FindNaming = Callable[[Connection, str], Awaitable[Naming]]


async def give_other_name(connection: Connection, naming: FindNaming, home: str, name: str, new: str) -> bool:
    """See `Destination.give_other_name`. Raises Said."""
    old_path, new_path = join(home, name), join(home, new)
    *above, seen = await remote.look(connection, [*_folders(home, name), old_path])
    if not all(one is not None and one.is_folder for one in above) or seen is None:
        return False
    if not seen.is_file:
        raise Unsupported(
            f"{escape(name)} is no longer a regular file", next_step="Move it out of the way by hand"
        )
    made = _folders(home, new)
    await remote.make_folders(connection, made, 0o700)
    folder = made[-1] if made else home
    await _rename(connection, await naming(connection, folder), old_path, new_path)
    parents = {path.rpartition("/")[0] for path in (old_path, new_path, *made)}
    await remote.sync_folders(connection, sorted(parents))
    return True


def _folders(home: str, name: str) -> list[str]:
    """Each folder from below the home to the one that a name is in."""
    parts = name.split("/")[:-1]
    return [join(home, path) for path in itertools.accumulate(parts, "{}/{}".format)]


async def _rename(connection: Connection, naming: Naming, old: str, new: str) -> None:
    if not naming.links:
        wire.done(await connection.one(wire.rename(old, new)))
        return
    try:
        wire.done(await connection.one(wire.link(old, new)))
    except Said as said:
        # A crash, or an answer that was lost, may have left both names.
        if await remote.look_one(connection, new) is None:
            raise
        if await digest(connection, old) != await digest(connection, new):
            raise DestinationUnready(f"{escape(new)} is taken", where="Nothing was renamed") from said
    wire.done(await connection.one(wire.on(wire.REMOVE, old)))
