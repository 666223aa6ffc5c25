"""The one place that turns a server's answers into dropslot's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dropslot.core.errors import (
    DestinationUnready,
    DiskFull,
    DropslotError,
    Refused,
    StorageFault,
    Unsupported,
)
from dropslot.core.names import escape
from dropslot.sftp import remote, wire
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Garbled, Said

KEPT = "The source is untouched, and what was delivered before stays as it is"
_LITTLE_BYTES = 64 * 1024


class ConnectionLost(DestinationUnready):
    """The connection broke during the work. Requests in flight may have been done, or not; they are checked again."""

    code = "connection-lost"


class ServerLied(StorageFault):
    """The server acknowledged bytes that it does not have."""

    code = "server-lied"


def lost(server: str, error: ConnectionGone | Garbled) -> ConnectionLost:
    """The error for a connection that broke."""
    return ConnectionLost(
        f"The connection to {escape(server)} broke: {escape(str(error))}",
        where=KEPT,
        next_step="It is retried; what the server already has is checked first",
    )


class NoRoom(DestinationUnready):
    """The server fails to write, though its disk has room: most likely a quota of the account is used up."""

    code = "quota"


@contextmanager
def told(server: str, doing: str) -> Iterator[None]:
    """Turns errors inside the block into dropslot's own; `doing` is like "looking at results/x.pdf"."""
    try:
        yield
    except (ConnectionGone, Garbled) as error:
        raise lost(server, error) from error
    except Said as said:
        raise typed(server, said, doing) from said


def typed(server: str, said: Said, doing: str) -> DropslotError:
    """The typed error for an answer that says no more than its code."""
    what = f"{doing} at {escape(server)} failed: {_words(said)}"
    if said.code == wire.PERMISSION_DENIED:
        step = "Give the account the right to write and search there, or correct `to`; it is retried"
        return DestinationUnready(what, where=KEPT, next_step=step)
    if said.code == wire.NO_SUCH_FILE:
        return DestinationUnready(
            what, where=KEPT, next_step="Mount its disk or make the folder; it is retried"
        )
    if said.code in (wire.NO_SPACE, wire.QUOTA):
        return full(what)
    if said.code == wire.BAD_MESSAGE:
        # OpenSSH's word for EINVAL and ENAMETOOLONG.
        return Refused([f"{what}: the server cannot store a file of this name or size"])
    if said.code == wire.UNSUPPORTED:
        return Unsupported(what, where=KEPT, next_step="Another server program is needed, such as OpenSSH's")
    step = "Look at the server's log: its disk, a quota of the account, or a read-only file system. It is retried"
    return DestinationUnready(what, where=KEPT, next_step=step)


async def explained(connection: Connection, said: Said, doing: str, folder: str) -> DropslotError:
    """As `typed`; because "failure" says nothing, it also checks whether the file system of `folder` is full."""
    server = connection.account.server
    if said.code != wire.FAILURE:
        return typed(server, said, doing)
    space = await remote.space(connection, folder)
    what = f"{doing} at {escape(server)} failed"
    if space and space.free_bytes < _LITTLE_BYTES:
        return full(f"{what}: its disk is full ({space.free_bytes:,} bytes are free)")
    if space and space.total_inodes and space.free_inodes == 0:
        return full(f"{what}: its file system has no inodes free")
    if space:
        room = f"its disk has {space.free_bytes:,} bytes free: a quota of the account, or a fault of the disk"
        return NoRoom(
            f"{what}: {_words(said)}; {room}",
            where=KEPT,
            next_step="Raise the quota, or look at the server's log; it is retried until it fits",
        )
    return typed(server, said, doing)


def full(what: str) -> DiskFull:
    """The error for a full file system."""
    step = "Free space there, or raise the quota; it is retried until it fits"
    return DiskFull(what, where=KEPT, next_step=step)


def _words(said: Said) -> str:
    names = {
        wire.NO_SUCH_FILE: "no such file or folder",
        wire.PERMISSION_DENIED: "permission denied",
        wire.UNSUPPORTED: "the server cannot do this",
        wire.NO_SPACE: "no space left",
        wire.QUOTA: "the account's quota is used up",
    }
    words = names.get(said.code, f"code {said.code}")
    own = escape(said.text)[:200]
    return f"{words} (the server says: {own})" if own and own.lower() not in words else words
