"""The connection of a sender, between the network and pynetdicom.

pynetdicom reads a connection in pieces of 4 KB and keeps each data set in memory. So the bytes of data sets go from
here to the disk, as they come; in their place pynetdicom gets a short token. It sees all the rest (negotiation,
commands, aborts) as it was sent. Nothing that a sender can send takes more memory than the limits below.

The format is that of PS3.8 9.3.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Protocol

P_DATA = 4
_COMMAND, _LAST = 1, 2
_HEADER_BYTES = 6
_BUFFER_BYTES = 256 * 1024
# An association request with 128 contexts of 60 transfer syntaxes has 250 KB.
_LONGEST_PDU = 1024 * 1024
_LONGEST_COMMAND = 64 * 1024
# Nobody may send a request before the answer to the one before: asynchronous operations are not negotiated.
_MOST_UNANSWERED = 2


class Unacceptable(ConnectionError):
    """The sender breaks the protocol, or wants more than it may have; its connection is closed."""


class Sink(Protocol):
    """Where the bytes of one data set go. `write` and `finish` do not raise: the answer to the sender says it."""

    def write(self, part: memoryview) -> None:
        """The next bytes."""

    def finish(self) -> bytes:
        """All bytes are there; returns the token, of even length."""

    def discard(self) -> None:
        """The rest will not come."""


Begin = Callable[[int, bytes], Sink]


class Diverted(socket.socket):
    """Mixed into a socket. `begin` gets the presentation context and the encoded command set of each data set."""

    def divert(self, begin: Begin) -> None:
        """Begin; before the first byte is read."""
        self._begin = begin
        self._given = memoryview(b"")
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._command = bytearray()
        self._complete_command: bytes | None = None
        self._sink: Sink | None = None
        self._unanswered = 0
        self._unsent = 0

    def recv(self, bufsize: int, flags: int = 0) -> bytes:  # noqa: ARG002 - as socket.recv
        """The next bytes for pynetdicom; empty at the end. Raises Unacceptable and what the socket raises."""
        if not self._given:
            self._given = memoryview(self._next())
        part, self._given = self._given[:bufsize], self._given[bufsize:]
        return bytes(part)

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]
        """As socket.send; counts the answers that go out."""
        if not self._unsent:
            self._unsent = _HEADER_BYTES + int.from_bytes(data[2:6])
            if data[0] == P_DATA and data[11] & 3 == _COMMAND | _LAST:
                self._unanswered -= 1
        sent = super().send(data, flags)
        self._unsent -= sent
        return sent

    def end(self) -> None:
        """Close it, and discard what was not received to its end. May be called again."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.discard()
        self.close()

    def _next(self) -> bytes:
        """The next PDU for pynetdicom, as far as it came."""
        while True:
            header = self._read(_HEADER_BYTES)
            length = int.from_bytes(header[2:])
            if len(header) < _HEADER_BYTES:
                return header
            if header[0] != P_DATA:
                if length > _LONGEST_PDU:
                    raise Unacceptable(f"a PDU of type {header[0]} has {length:,} bytes")
                return header + self._read(length)
            if values := self._divided(length):
                return bytes((P_DATA, 0)) + len(values).to_bytes(4) + values

    def _divided(self, left: int) -> bytes:
        """Read the values of one P-DATA-TF PDU; returns those for pynetdicom."""
        given = b""
        while left:
            item = self._exactly(_HEADER_BYTES)
            size, control = int.from_bytes(item[:4]), item[5]
            if size < 2 or size + 4 > left:
                raise Unacceptable("a presentation data value does not fit into its PDU")
            left -= size + 4
            is_command = control & _COMMAND
            given += self._commanded(item, size - 2) if is_command else self._written(item, size - 2)
        return given

    def _commanded(self, item: bytes, size: int) -> bytes:
        if len(self._command) + size > _LONGEST_COMMAND:
            raise Unacceptable("a command set is too long")
        part = self._exactly(size)
        self._command += part
        if item[5] & _LAST:
            self._complete_command, self._command = bytes(self._command), bytearray()
            self._unanswered += 1
            if self._unanswered > _MOST_UNANSWERED:
                raise Unacceptable("requests come without waiting for their answers")
        return item + part

    def _written(self, item: bytes, size: int) -> bytes:
        if self._sink is None:
            if self._complete_command is None:
                raise Unacceptable("a data set comes without a command")
            self._sink, self._complete_command = self._begin(item[4], self._complete_command), None
        while size:
            count = self.recv_into(self._buffer[: min(size, _BUFFER_BYTES)])
            if not count:
                raise Unacceptable("the connection ended within a data set")
            self._sink.write(self._buffer[:count])
            size -= count
        if not item[5] & _LAST:
            return b""
        token, self._sink = self._sink.finish(), None
        return (len(token) + 2).to_bytes(4) + item[4:6] + token

    def _exactly(self, count: int) -> bytes:
        read = self._read(count)
        if len(read) < count:
            raise Unacceptable("the connection ended within a PDU")
        return read

    def _read(self, count: int) -> bytes:
        """So many bytes; fewer at the end."""
        read = b""
        while len(read) < count and (part := super().recv(count - len(read))):
            read += part
        return read


class PlainStream(Diverted):
    """Without encryption."""


class SecureStream(Diverted, ssl.SSLSocket):  # type: ignore[misc]  # names of arguments differ
    """With TLS. The handshake happens with the first byte that is read."""


def plain(connection: socket.socket) -> PlainStream:
    """The same connection; the one given is not used any more."""
    return PlainStream(fileno=connection.detach())
