"""What a server's operations really do, tried in a private folder: never assumed from its name or version.

OpenSSH's SSH_FXP_RENAME of a file is link and unlink, which cannot replace; but where link(2) fails with EOPNOTSUPP,
ENOSYS or EXDEV it looks whether the new name is there and then renames, which may replace what came in between. Such a
look follows links, so a link that leads nowhere shows it: the fallback replaces it, link(2) does not. A folder is
always looked for and then renamed; rename(2) itself can then replace an empty folder at most.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from dropslot.destinations.sftp import remote, wire
from dropslot.destinations.sftp.connection import Connection
from dropslot.destinations.sftp.wire import Request, Said


@dataclass(frozen=True, slots=True)
class Naming:
    """By which operations names are given; at least one of the first two, or nothing can be delivered."""

    links: bool
    renames: bool
    whole_folders: bool
    why: str = ""  # what was found, where neither is to be had


async def naming_of(connection: Connection, folder: str) -> Naming:
    """Try it inside `folder`, which is private."""
    top = f"{folder}/naming-{secrets.token_hex(8)}"
    await remote.make_folders(connection, [top, f"{top}/full", f"{top}/empty", f"{top}/new"])
    try:
        await _put(connection, f"{top}/one", b"1")
        await _put(connection, f"{top}/full/two", b"22")
        links = wire.HARDLINK in connection.extensions and await _links(connection, top)
        renames, why = (False, "") if links else await _renames(connection, top)
        return Naming(links, renames, await _folders(connection, top), why)
    finally:
        await remote.remove_tree(connection, top)


async def _put(connection: Connection, path: str, data: bytes) -> None:
    channel = connection.channel()  # a handle belongs to one channel
    flags = wire.FOR_WRITING | wire.CREATE | wire.EXCLUSIVE
    handle = wire.handle(await channel.one(wire.open_file(path, flags)))
    for reply in await channel.ask(wire.write(handle, 0, data), wire.close(handle)):
        wire.done(reply)


async def _works(connection: Connection, request: Request) -> bool:
    try:
        wire.done(await connection.one(request))
    except Said:
        return False
    return True


async def _links(connection: Connection, top: str) -> bool:
    if await _works(connection, wire.link(f"{top}/one", f"{top}/full/two")):
        return False
    if await _size(connection, f"{top}/full/two") != 2:
        return False
    made = await _works(connection, wire.link(f"{top}/one", f"{top}/linked"))
    return made and await _size(connection, f"{top}/linked") == 1


async def _renames(connection: Connection, top: str) -> tuple[bool, str]:
    """Whether a plain rename of a file replaces nothing; else what was found."""
    if await _works(connection, wire.rename(f"{top}/one", f"{top}/full/two")):
        return False, "its rename replaces a file that has the new name"
    if await _size(connection, f"{top}/full/two") != 2 or await _size(connection, f"{top}/one") != 1:
        return False, "its rename changes a file that has the new name"
    if not await _works(connection, wire.symlink("nowhere", f"{top}/link")):
        return (
            False,
            "it makes no symbolic links, so that nothing shows whether its rename may replace a file",
        )
    if await _works(connection, wire.rename(f"{top}/one", f"{top}/link")):
        return False, "its rename looks first and then replaces: what comes in between would be lost"
    if not await _works(connection, wire.rename(f"{top}/one", f"{top}/renamed")):
        return False, "it renames no files"
    return True, ""


async def _folders(connection: Connection, top: str) -> bool:
    """Whether a folder can be renamed, and takes the name of no other folder, empty or not, nor of a file."""
    for taken in ("full", "empty", "full/two"):
        if await _works(connection, wire.rename(f"{top}/new", f"{top}/{taken}")):
            return False
    if await _size(connection, f"{top}/full/two") != 2:
        return False
    return await _works(connection, wire.rename(f"{top}/new", f"{top}/renamed-folder"))


async def _size(connection: Connection, path: str) -> int | None:
    seen = await remote.look_one(connection, path)
    return seen.size if seen and seen.is_file else None


async def folds_names(connection: Connection, folder: str) -> tuple[bool, bool]:
    """Whether the server's file system folds (case, Unicode normal forms) of names."""
    stem = f"{folder}/fold-{secrets.token_hex(4)}"
    await remote.make_folders(connection, [f"{stem}-a\u00e9"])
    case, form = await remote.look(connection, [f"{stem}-A\u00e9", f"{stem}-ae\u0301"])
    await remote.remove_empty(connection, [f"{stem}-a\u00e9"])
    return case is not None, form is not None
