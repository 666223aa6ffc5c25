"""A file that stays open at its server and is read from any offset, by blocking code. It can follow a file that
grows or is renamed meanwhile.
"""

from __future__ import annotations

from contextlib import suppress

from dropslot.sftp import runtime, wire
from dropslot.sftp.channel import Channel, ConnectionGone
from dropslot.sftp.connection import Connection
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.wire import Garbled, Said


class OpenFile:
    """It belongs to one connection: if that is lost, reading raises ConnectionGone, and the caller opens the file
    again.

    Opening raises FileNotFoundError if there is nothing, IsADirectoryError if it is not a file, and Said,
    ConnectionGone, Garbled, and the errors of logging in.
    """

    def __init__(self, account: Account, path: str) -> None:
        self._path = path
        self._channel, self._handle = runtime.run_again(self._open, account)

    def size(self) -> int:
        """How many bytes it has now."""
        seen = wire.attributes(runtime.current().run(self._channel.one(wire.of(wire.FSTAT, self._handle))))
        return seen.size or 0

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end."""
        return runtime.current().run(self._read(offset, length))

    def close(self) -> None:
        """Let go of it; fine when the connection is gone."""
        with suppress(ConnectionGone, Garbled, Said):
            runtime.current().run(self._channel.one(wire.close(self._handle)))

    async def _open(self, connection: Connection) -> tuple[Channel, bytes]:
        channel = connection.channel()
        # Checked first: opening a named pipe would wait for a writer.
        seen = wire.found(await channel.one(wire.on(wire.STAT, self._path)))
        if seen is None:
            raise FileNotFoundError(2, "no such file", self._path)
        if seen.mode is not None and not seen.is_file:
            raise IsADirectoryError(21, "no file", self._path)
        try:
            return channel, wire.handle(await channel.one(wire.open_file(self._path, wire.FOR_READING)))
        except Said as said:
            if said.code == wire.NO_SUCH_FILE:
                raise FileNotFoundError(2, "it is gone", self._path) from said
            raise

    async def _read(self, offset: int, length: int) -> bytes:
        end, step, found = offset + length, self._channel.longest_read, bytearray()
        while (begin := offset + len(found)) < end:
            asked = [(at, min(step, end - at)) for at in range(begin, end, step)]
            replies = await self._channel.ask(*(wire.read(self._handle, at, size) for at, size in asked))
            for (_, size), reply in zip(asked, replies, strict=True):
                piece = wire.data(reply)
                found += piece
                if len(piece) < size:
                    break  # the end, or a server that gives less at a time: what it gave beyond has a gap before it
            if not piece:
                break
        return bytes(found)
