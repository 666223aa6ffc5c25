"""Files of a server for blocking code, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dropslot.sftp import remote, runtime, wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Said

_NOTHING = object()


def pieces(account: Account, path: str) -> Iterator[bytes]:
    """The bytes of a regular file. Raises FileNotFoundError when there is none, Said, ConnectionGone."""
    own = runtime.current()
    connection = own.run(own.connection(account))
    seen = own.run(remote.look_one(connection, path))
    if seen is None or not seen.is_file:
        raise FileNotFoundError(2, "no regular file", path)
    yield from _read(own, connection, path)


def _read(own: runtime.Runtime, connection: Connection, path: str) -> Iterator[bytes]:
    stream = remote.read(connection, path)

    async def following() -> Any:
        return await anext(stream, _NOTHING)

    async def end() -> None:
        await stream.aclose()  # type: ignore[attr-defined]

    try:
        while (piece := own.run(following())) is not _NOTHING:
            yield piece
    except Said as said:
        if said.code == wire.NO_SUCH_FILE:
            raise FileNotFoundError(2, "it is gone", path) from said
        raise
    finally:
        own.run(end())
