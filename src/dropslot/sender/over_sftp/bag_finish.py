"""Finishes a bag at a server: what is there is compared, tag files come last, then the bag gets its name.

Each step may be repeated after a crash. The folders are opened to the inbox's group last of all: a service without
privilege can move only what its group may write, and an account outside of that group loses a folder's setgid bit with
this, after which nothing must be made in it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.faults import BagIncomplete, BagNameTaken
from dropslot.sender.over_sftp.bag_upload import FILE_MODE, FOLDER_MODE
from dropslot.sftp import faults, remote, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.remote import OpenFolder
from dropslot.sftp.transfers.file_transfer import Sending
from dropslot.sftp.wire import Attributes, Request, Said

HIDDEN, NAMED, GONE = "hidden", "named", "gone"
MANIFEST, INFO, PAYLOAD = "manifest-sha256.txt", "bag-info.txt", "data"
_OXUM = re.compile(r"(?mi)^Payload-Oxum\s*:\s*(\d+)\.(\d+)\s*$")
_ENCODED = re.compile(r"%(0[aA]|0[dD]|25)")
_SHOWN = 3


@dataclass(slots=True)
class Bag:
    """`hidden` is the bag's folder while it is on its way, `final` the one that it becomes."""

    hidden: str
    final: str

    @property
    def name(self) -> str:
        return self.final.rpartition("/")[2]

    @property
    def inbox(self) -> str:
        return self.final.rpartition("/")[0] or "."


class Seen(NamedTuple):
    """The inbox, and what is there under the bag's two names. `is_grouped`: the inbox gives what is made in it its own
    group."""

    is_grouped: bool
    hidden: Attributes | None
    final: Attributes | None


@dataclass(slots=True)
class There:
    """What the bag's folder holds: sizes of files by path in the bag, and its folders, the outer ones first."""

    sizes: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    def add(self, path: str, entries: Mapping[str, Attributes]) -> list[str]:
        """Add the entries of a folder; returns those that are folders."""
        self.folders.append(path)
        inner = {f"{path}/{name}" if path else name: seen for name, seen in entries.items()}
        self.sizes |= {one: seen.size or 0 for one, seen in inner.items() if not seen.is_folder}
        return [one for one, seen in inner.items() if seen.is_folder]


def state(connection: Connection, bag: Bag, seen: Seen, gone: DropslotError | None) -> str:
    """HIDDEN, NAMED if it has its name already, or GONE. `gone`: the error if there is no bag any more; None: it may
    have been finished, and taken."""
    if seen.hidden is None:
        if seen.final is None and gone is not None:
            raise gone
        return GONE if seen.final is None else NAMED
    if seen.final is not None:
        raise name_taken(connection, bag)
    return HIDDEN


async def finish(
    connection: Connection, bag: Bag, tag_files: Mapping[str, bytes], there: There, *, grouped: bool
) -> OpenFolder:
    """Make it ready for its name, all of it durable; returns the inbox, open for the sync that follows the naming."""
    await _compare(connection, bag, there, tag_files)
    sending = Sending(
        connection,
        bag.hidden,
        lambda: name_taken(connection, bag),
        Attributes(mode=FILE_MODE if grouped else None),
        parts={
            number: there.sizes.get(name, 0) for number, name in enumerate(tag_files) if name in there.sizes
        },
        strict=False,
    )
    # Nothing is made any more in the folders of the payload, so they are closed meanwhile.
    inner = [remote.join(bag.hidden, path) for path in there.folders if path]
    top, inbox, _, _ = await asyncio.gather(
        remote.open_folder(connection, bag.hidden),
        remote.open_folder(connection, bag.inbox),
        _close(connection, inner, grouped=grouped),
        _send(sending, bag, tag_files),
    )
    await top.sync(*_open_to_group(bag.hidden, grouped=grouped))
    return inbox


async def name(connection: Connection, bag: Bag, inbox: OpenFolder) -> None:
    """Give the finished bag its name, which nothing else has, and make that durable."""
    (reply,), _ = await inbox.sync(wire.rename(bag.hidden, bag.final))
    try:
        wire.done(reply)
    except Said as said:
        hidden, final = await remote.look(connection, [bag.hidden, bag.final])
        if hidden is None:
            return  # an earlier answer was lost
        if final is not None:
            raise name_taken(connection, bag) from said
        raise faults.typed(connection.account.server, said, f"Giving {escape(bag.name)} its name") from said


async def _send(sending: Sending, bag: Bag, tag_files: Mapping[str, bytes]) -> None:
    numbered = enumerate(tag_files.items())
    await asyncio.gather(*(_tag_file(sending, bag, number, name, data) for number, (name, data) in numbered))


async def _tag_file(sending: Sending, bag: Bag, number: int, name: str, data: bytes) -> None:
    if sending.parts.get(number, 0) > len(data):
        await remote.remove_files(sending.connection, [remote.join(bag.hidden, name)])
        sending.parts = {other: size for other, size in sending.parts.items() if other != number}
    await sending.small(number, remote.join(bag.hidden, name), data, time.time_ns(), b"")


async def listed(connection: Connection, top: str, tag_files: Mapping[str, bytes]) -> There:
    """All that is in the bag. The folders that belong to it are listed at once; others when they are found."""
    may_open = asyncio.Semaphore(remote.OPEN_AT_ONCE)

    async def entries(path: str) -> tuple[str, dict[str, Attributes]]:
        async with may_open:
            return path, await remote.listing(connection, remote.join(top, path)) or {}

    there, lists, level = There(), dict(await asyncio.gather(*map(entries, _folders(tag_files)))), [""]
    while level:
        lists |= await asyncio.gather(*(entries(path) for path in level if path not in lists))
        level = [inner for path in level for inner in there.add(path, lists[path])]
    return there


def _folders(tag_files: Mapping[str, bytes]) -> set[str]:
    """The paths of the folders that a bag should have; the empty one is its own."""
    found = {""}
    for folder in {path.rpartition("/")[0] for path in payload(tag_files)}:
        parts = folder.split("/")
        found.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return found


async def _compare(connection: Connection, bag: Bag, there: There, tag_files: Mapping[str, bytes]) -> None:
    """The payload must be what the manifest lists, with as many bytes as the bag says. What an interruption left of a
    file that is not part of the bag is removed."""
    wanted = set(payload(tag_files))
    have = {path for path in there.sizes if path.startswith(f"{PAYLOAD}/")}
    await remote.remove_files(connection, [remote.join(bag.hidden, path) for path in sorted(have - wanted)])
    if missing := sorted(wanted - have):
        raise _incomplete(connection, bag, missing)
    size = sum(there.sizes[path] for path in wanted)
    told = _OXUM.search(tag_files.get(INFO, b"").decode("utf-8", "replace"))
    if told and (int(told[1]), int(told[2])) != (size, len(wanted)):
        raise _incomplete(connection, bag, sorted(wanted), size)


def payload(tag_files: Mapping[str, bytes]) -> list[str]:
    """The paths of a bag's manifest (RFC 8493: CR, LF and % are percent-encoded)."""
    lines = tag_files.get(MANIFEST, b"").decode("utf-8").split("\n")
    return [
        _ENCODED.sub(lambda found: chr(int(found[1], 16)), line.split(maxsplit=1)[1])
        for line in lines
        if line.strip()
    ]


async def _close(connection: Connection, folders: Iterable[str], *, grouped: bool) -> None:
    """Open folders in which nothing is made any more to the group, and make them durable."""
    may_open = asyncio.Semaphore(remote.OPEN_AT_ONCE)

    async def close(path: str) -> None:
        async with may_open:
            folder = await remote.open_folder(connection, path)
            await folder.sync(*_open_to_group(path, grouped=grouped))

    await asyncio.gather(*map(close, folders))


def _open_to_group(folder: str, *, grouped: bool) -> list[Request]:
    """Lets the inbox's group move and read the bag. A server that refuses leaves it to the service's own privilege."""
    return [wire.set_attributes(folder, Attributes(mode=0o2000 | FOLDER_MODE))] if grouped else []


def name_taken(connection: Connection, bag: Bag) -> BagNameTaken:
    """The error for a bag whose final name something else has."""
    return BagNameTaken(
        f"The inbox at {escape(connection.account.server)} already has something else named {escape(bag.name)}",
        where="Your files are untouched. What was sent is still hidden there; the next send removes it",
        next_step="Send again: they get another name. If this repeats, tell the person who runs the server",
    )


def _incomplete(
    connection: Connection, bag: Bag, paths: Sequence[str], size: int | None = None
) -> BagIncomplete:
    server, names = escape(connection.account.server), ", ".join(map(escape, paths[:_SHOWN]))
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    what = f"{server} lacks files that it acknowledged: {names}{more}"
    if size is not None:
        what = f"{server} has {size:,} bytes of the files of {escape(bag.name)}, which are more or fewer than were sent"
    error = BagIncomplete(
        what,
        where="Your files are untouched, and nothing is delivered yet",
        next_step="They are sent again. If this repeats, tell the person who runs the server: somebody changes or"
        " removes uploads there",
    )
    error.paths = tuple(paths)
    return error
