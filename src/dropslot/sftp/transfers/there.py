"""What a server has of a file that was begun before; it is compared, so that only what is missing is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from dropslot.sftp import remote
from dropslot.sftp.connection import Connection
from dropslot.sftp.wire import Said


class There:
    """Reads the server's file from `start` on, in step with the local one, with many reads in flight. A server that
    lets nobody read has nothing that could be compared: all is sent."""

    def __init__(self, connection: Connection, path: str, start: int) -> None:
        self._pieces: AsyncIterator[bytes] | None = remote.read(connection, path, start)
        self._ahead = bytearray()
        self.is_readable = True

    async def equal_bytes(self, data: bytes) -> int:
        """How many bytes from the front of `data` are there already. Each call compares the bytes that follow those of
        the last one."""
        await self._fill(len(data))
        seen = self._ahead[: len(data)]
        del self._ahead[: len(data)]
        return len(seen) if data.startswith(seen) else 0

    async def _fill(self, size: int) -> None:
        with suppress(Said):
            while self._pieces is not None and len(self._ahead) < size:
                piece = await anext(self._pieces, b"")
                if not piece:
                    await self.close()
                self._ahead += piece
            return
        self._pieces, self.is_readable = None, False

    async def close(self) -> None:
        """Stop reading."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()  # type: ignore[attr-defined]


class Believed:
    """The same for an account that may read nothing: by the size alone. Each file was written in order, over one
    channel, so what is there is the beginning of what was sent; who takes the files compares their digests."""

    is_readable = False

    def __init__(self, start: int, size_bytes: int) -> None:
        self._left = size_bytes - start

    async def equal_bytes(self, data: bytes) -> int:
        """How many bytes from the front of `data` are there already."""
        count = min(len(data), max(0, self._left))
        self._left -= len(data)
        return count

    async def close(self) -> None:
        """There is nothing to stop."""
