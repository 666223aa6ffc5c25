"""Tries in a private folder what a server's operations really do; nothing is assumed from its name or version.

OpenSSH's SSH_FXP_RENAME of a file is link and unlink, which cannot replace. But if link(2) fails with EOPNOTSUPP,
ENOSYS or EXDEV, it looks whether the new name exists and then renames; that may replace a file made in between. This
look follows links. So a dangling link at the new name shows which way is used: the fallback replaces it, link(2) does
not. For a folder OpenSSH always looks and then renames; rename(2) can then replace at most an empty folder.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from dropslot.sftp import remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Reply, Request, Said


@dataclass(frozen=True, slots=True)
class Naming:
    """The operations that can give names. Without one of the first two nothing can be delivered."""

    links: bool
    renames: bool
    whole_folders: bool
    why: str = ""  # the reason, if there is neither


async def naming_of(connection: Connection, folder: str) -> Naming:
    """Try the operations inside `folder`, which is private."""
    top = f"{folder}/naming-{secrets.token_hex(8)}"
    await remote.make_folders(connection, [top, f"{top}/full", f"{top}/empty", f"{top}/new"])
    try:
        await asyncio.gather(_put(connection, f"{top}/one", b"1"), _put(connection, f"{top}/full/two", b"22"))
        links, whole = await asyncio.gather(_links(connection, top), _folders(connection, top))
        renames, why = (False, "") if links else await _renames(connection, top)
        return Naming(links, renames, whole, why)
    finally:
        await _remove(connection, top)


async def _remove(connection: Connection, top: str) -> None:
    """Remove everything that may be there, by name: looking first would cost a round trip for each level."""
    files = [f"{top}/{name}" for name in ("one", "full/two", "linked", "link", "nowhere", "renamed")]
    folders = [f"{top}/{name}" for name in ("full", "empty", "new", "renamed-folder")] + [top]
    requests = [wire.on(wire.REMOVE, path) for path in files] + [
        wire.on(wire.RMDIR, path) for path in folders
    ]
    replies = await connection.ask(*requests)
    if not _worked(replies[-1]):
        await remote.remove_tree(connection, top)


async def _put(connection: Connection, path: str, data: bytes) -> None:
    channel = connection.channel()  # a handle belongs to one channel
    flags = wire.FOR_WRITING | wire.CREATE | wire.EXCLUSIVE
    handle = wire.handle(await channel.one(wire.open_file(path, flags)))
    for reply in await channel.ask(wire.write(handle, 0, data), wire.close(handle)):
        wire.done(reply)


def _worked(reply: Reply) -> bool:
    try:
        wire.done(reply)
    except Said:
        return False
    return True


def _refused(reply: Reply) -> bool:
    """Whether it was refused because the name is taken, and not because the file is missing."""
    try:
        wire.done(reply)
    except Said as said:
        return said.code != wire.NO_SUCH_FILE
    return False


def _size(reply: Reply) -> int | None:
    seen = wire.found(reply)
    return seen.size if seen and seen.is_file else None


def _look(path: str) -> Request:
    return wire.on(wire.LSTAT, path)


async def _links(connection: Connection, top: str) -> bool:
    if wire.HARDLINK not in connection.extensions:
        return False
    one, two, linked = f"{top}/one", f"{top}/full/two", f"{top}/linked"
    taken, there, given, made = await connection.ask(
        wire.link(one, two), _look(two), wire.link(one, linked), _look(linked)
    )
    return _refused(taken) and _size(there) == 2 and _worked(given) and _size(made) == 1


async def _renames(connection: Connection, top: str) -> tuple[bool, str]:
    """Whether a plain rename of a file replaces nothing; if it may replace, also the reason."""
    one, two, link = f"{top}/one", f"{top}/full/two", f"{top}/link"
    taken, there = await connection.ask(wire.rename(one, two), _look(two))
    if not _refused(taken) or _size(there) != 2:
        return False, "its rename replaces a file that has the new name"
    # Servers differ in the order of the two names. Both are ours, and in either order one is a dangling link.
    nowhere = f"{top}/nowhere"
    _, usual, other = await connection.ask(wire.symlink(nowhere, link), _look(link), _look(nowhere))
    made = link if wire.found(usual) else nowhere if wire.found(other) else None
    if made is None:
        return (
            False,
            "it cannot make symbolic links, so it is unknown whether its rename may replace a file",
        )
    dangling, given = await connection.ask(wire.rename(one, made), wire.rename(one, f"{top}/renamed"))
    if not _refused(dangling):
        return False, "its rename first looks and then replaces: a file that appears in between would be lost"
    return (True, "") if _worked(given) else (False, "it cannot rename files")


async def _folders(connection: Connection, top: str) -> bool:
    """Whether a folder can be renamed, and never replaces a file or another folder, empty or not."""
    new, two = f"{top}/new", f"{top}/full/two"
    *taken, there, given = await connection.ask(
        *(wire.rename(new, f"{top}/{name}") for name in ("full", "empty", "full/two")),
        _look(two),
        wire.rename(new, f"{top}/renamed-folder"),
    )
    return all(map(_refused, taken)) and _size(there) == 2 and _worked(given)


async def folds_names(connection: Connection, folder: str) -> tuple[bool, bool]:
    """Whether the server's file system folds names: (their case, their Unicode normal forms)."""
    stem = f"{folder}/fold-{secrets.token_hex(4)}"
    await remote.make_folders(connection, [f"{stem}-a\u00e9"])
    case, form = await remote.look(connection, [f"{stem}-A\u00e9", f"{stem}-ae\u0301"])
    await remote.remove_empty(connection, [f"{stem}-a\u00e9"])
    return case is not None, form is not None
