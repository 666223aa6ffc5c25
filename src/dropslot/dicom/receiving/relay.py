"""The connection of a sender, between the network and pynetdicom.

pynetdicom reads a connection in pieces of 4 KB, keeps each data set in memory, and hands it from thread to thread: too
slow for images. So instances (C-STORE) are received here: their bytes go to the disk as they come, and the answer goes
out when they are durable. All the rest (negotiation, other requests, aborts) passes to pynetdicom over a pair of
sockets; in place of the data set of another request it gets a short token. Nothing that a sender can send takes more
memory than the limits below.

The format is that of PS3.8 9.3.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from dropslot.dicom.receiving.command_sets import Command, command_in, store_answer

log = structlog.get_logger()
P_DATA = 4
_COMMAND, _LAST = 1, 2
_HEADER_BYTES = 6
_BUFFER_BYTES = 256 * 1024
# An association request with 128 contexts of 60 transfer syntaxes has 250 KB.
_LONGEST_PDU = 1024 * 1024
_LONGEST_COMMAND = 64 * 1024
# Nobody may send a request before the answer to the one before: asynchronous operations are not negotiated.
_MOST_UNANSWERED = 2
_ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0))


class Unacceptable(ConnectionError):
    """The sender breaks the protocol, or wants more than it may have; its connection is closed."""


class Sink(Protocol):
    """Where the bytes of one data set go. Its methods do not raise: the answer to the sender says what happened."""

    def write(self, part: memoryview) -> None:
        """The next bytes."""

    def finish(self) -> bytes | int:
        """All bytes are there: the status that answers a C-STORE, or the token for pynetdicom."""

    def discard(self) -> None:
        """The rest will not come."""


Begin = Callable[[int, Command], Sink]


class Inner(socket.socket):
    """The end that pynetdicom has."""

    relay: Relay


class Relay(threading.Thread):
    """One connection. It ends by itself when either side closes, or by `end`."""

    def __init__(self, connection: socket.socket, idle_seconds: float) -> None:
        """`connection` is closed after `idle_seconds` of silence."""
        super().__init__(name="relay", daemon=True)
        inner, self._pair = socket.socketpair()
        self.inner = Inner(fileno=inner.detach())
        self.inner.relay = self
        self._connection = connection
        self._idle_seconds = idle_seconds
        for end in (connection, self._pair):
            end.settimeout(idle_seconds)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._command = bytearray()
        self._asked: Command | None = None  # whose data set comes next
        self._sink: Sink | None = None
        self._unanswered = 0

    def relay(self, begin: Begin) -> None:
        """Begin; `begin` gets the presentation context and the command of each data set."""
        self._begin = begin
        self.start()

    def run(self) -> None:
        try:
            while self._passed_on():
                pass
        except Unacceptable as error:
            log.warning(f"A sender was cut off: {error}", action="dicom_cut_off")
            with suppress(OSError, ValueError):
                self._connection.sendall(_ABORT)
        except (OSError, ValueError):
            pass  # the connection is gone, or was ended: what that means is said where its instances are counted
        finally:
            self.end()

    def end(self) -> None:
        """Close both ends, and discard what was not received to its end. May be called again, from any thread."""
        for end in (self._connection, self._pair):
            with suppress(OSError, ValueError):
                end.shutdown(socket.SHUT_RDWR)
        if self.is_alive() and threading.current_thread() is not self:
            return  # its own thread wakes up, and does the rest
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.discard()
        self._connection.close()
        self._pair.close()

    def _passed_on(self) -> bool:
        """Pass one PDU on; False: an end was closed."""
        waiting = isinstance(self._connection, ssl.SSLSocket) and self._connection.pending()
        if not waiting:
            ends = (self._connection, self._pair)
            ready, _, _ = select.select(ends, (), (), self._idle_seconds)
            if not ready:
                raise Unacceptable("it was silent for too long")
            if self._pair in ready:
                return self._sent_out()
        return self._taken_in()

    def _sent_out(self) -> bool:
        header = _read(self._pair, _HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return False
        body = _read(self._pair, int.from_bytes(header[2:]))
        if header[0] == P_DATA and body[5] & 3 == _COMMAND | _LAST:
            self._unanswered -= 1
        self._connection.sendall(header + body)
        return True

    def _taken_in(self) -> bool:
        header = _read(self._connection, _HEADER_BYTES)
        length = int.from_bytes(header[2:])
        if len(header) < _HEADER_BYTES:
            return False
        if header[0] == P_DATA:
            if values := self._divided(length):
                self._pair.sendall(bytes((P_DATA, 0)) + len(values).to_bytes(4) + values)
            return True
        if length > _LONGEST_PDU:
            raise Unacceptable(f"a PDU of type {header[0]} has {length:,} bytes")
        self._pair.sendall(header + self._exactly(length))
        return True

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
        self._command += self._exactly(size)
        if not item[5] & _LAST:
            return b""
        encoded, self._command = bytes(self._command), bytearray()
        asked = command_in(encoded)
        self._asked = asked if asked.has_data_set else None
        if asked.is_store:
            if not asked.has_data_set:
                raise Unacceptable("an instance comes without a data set")
            return b""
        self._unanswered += 1
        if self._unanswered > _MOST_UNANSWERED:
            raise Unacceptable("requests come without waiting for their answers")
        return _value(item[4], _COMMAND | _LAST, encoded)

    def _written(self, item: bytes, size: int) -> bytes:
        asked, context = self._asked, item[4]
        if asked is None:
            raise Unacceptable("a data set comes without a command")
        if self._sink is None:
            self._sink = self._begin(context, asked)
        while size:
            count = self._connection.recv_into(self._buffer[: min(size, _BUFFER_BYTES)])
            if not count:
                raise Unacceptable("the connection ended within a data set")
            self._sink.write(self._buffer[:count])
            size -= count
        return self._finished(context, asked) if item[5] & _LAST else b""

    def _finished(self, context: int, asked: Command) -> bytes:
        sink, self._sink, self._asked = self._sink, None, None
        assert sink is not None
        said = sink.finish()
        if isinstance(said, bytes):
            return _value(context, _LAST, said)
        value = _value(context, _COMMAND | _LAST, store_answer(asked, said))
        self._connection.sendall(bytes((P_DATA, 0)) + len(value).to_bytes(4) + value)
        return b""

    def _exactly(self, count: int) -> bytes:
        read = _read(self._connection, count)
        if len(read) < count:
            raise Unacceptable("the connection ended within a PDU")
        return read


def _value(context: int, control: int, content: bytes) -> bytes:
    """A presentation data value."""
    return (len(content) + 2).to_bytes(4) + bytes((context, control)) + content


def _read(end: socket.socket, count: int) -> bytes:
    """So many bytes; fewer at the end."""
    read = b""
    while len(read) < count and (part := end.recv(count - len(read))):
        read += part
    return read
