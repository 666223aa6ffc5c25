"""Files of a server for blocking code: as a stream, and piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from dropslot.core.names import escape
from dropslot.sftp import faults, remote, runtime, wire
from dropslot.sftp.accounts import Account
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Attributes, Said

BUFFER_BYTES = 256 * 1024
_NOTHING = object()


class RemoteFile(io.RawIOBase):
    """A file that is read where it is asked for; wrap it in a BufferedReader."""

    def __init__(self, account: Account, path: str, size_bytes: int) -> None:
        self._account, self._path, self._size, self._at = account, path, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Raises DestinationUnready and its like: a check that reads is not broken by a server that is away."""
        view = memoryview(buffer).cast("B")
        if not len(view) or self._at >= self._size:
            return 0
        with faults.told(self._account.server, f"Reading {escape(self._path)}"):
            data = runtime.run(lambda c: remote.read_at(c, self._path, self._at, len(view)), self._account)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def opened(account: Account, path: str, seen: Attributes) -> io.BufferedReader:
    """A stream of a file that was looked at."""
    size = seen.size or 0
    return io.BufferedReader(RemoteFile(account, path, size), min(BUFFER_BYTES, max(size, 512)))


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
