"""One SFTP session: requests are sent in batches, in order, and many may be in flight.

asyncssh's own SFTP client uses a task and a packet for each request. Here whole files are one batch, and batches
share packets.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections import deque
from typing import Any

import asyncssh

from dropslot.sftp import wire
from dropslot.sftp.wire import Garbled, Reply, Request

_REPLY = struct.Struct(">IBI")  # length of what follows it, kind, number of the request (or version)
LONGEST_REPLY = 1 << 20
PACKET_BYTES = WRITE_AT_ONCE = 32 * 1024  # of OpenSSH; asyncssh cuts what is longer than the server's packets
MOST_WAITING_BYTES = 2 * 1024 * 1024
SAFE_LENGTH = 32 * 1024  # what every server must take (draft, section 3)
MOST_LENGTH = 256 * 1024 - 1024


class ConnectionGone(Exception):
    """The connection ended before all answers came: the requests may have been done, or not."""


class _Batch:
    __slots__ = ("asked", "future", "left", "replies")

    def __init__(self, count: int, future: asyncio.Future[list[Reply]], asked: float) -> None:
        self.replies: list[Reply] = [Reply(0, b"")] * count
        self.left, self.future, self.asked = count, future, asked


def unlogged(part: asyncssh.SSHClientChannel[bytes] | asyncssh.SSHClientConnection) -> None:
    """Nobody reads asyncssh's log of packets, and making its lines takes a tenth of the time of a large file."""
    vars(part).update(log_sent_packet=_unlogged, log_received_packet=_unlogged)


def _unlogged(*_: object, **__: object) -> None:
    pass


class Channel(asyncssh.SSHClientSession[bytes]):
    """Used in the loop's thread alone."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.extensions: frozenset[str] = frozenset()
        self.longest_write = self.longest_read = SAFE_LENGTH
        self.pending_bytes = 0
        self.quickest_seconds = math.inf  # from requests to their answers: hardly more than a round trip
        self.heard = (
            self.loop.time()
        )  # when the last answer came, or the first request since all were answered
        self._version: asyncio.Future[frozenset[str]] = self.loop.create_future()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._waiting: dict[int, tuple[_Batch, int]] = {}
        self._number = 0
        self._out: deque[memoryview] = deque()
        self._paused = self._scheduled = False
        self._in = b""  # the beginning of an answer
        self._gone: ConnectionGone | None = None

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        return self._gone is None

    async def begin(self, like: Channel | None = None) -> None:
        """Agree on the version and learn the extensions; `limits` are those of another channel of the same
        connection. Raises ConnectionGone, Garbled."""
        assert self._channel
        self._channel.set_write_buffer_limits(high=MOST_WAITING_BYTES)
        self._channel.write(b"\0\0\0\5\1\0\0\0\3")
        self.extensions = await self._version
        if like is not None:
            self.longest_read, self.longest_write = like.longest_read, like.longest_write
        elif wire.LIMITS in self.extensions:
            # Nobody waits for it: the requests until then are short.
            self.ask(wire.extended(wire.LIMITS)).add_done_callback(self._learn)

    def _learn(self, asked: asyncio.Future[list[Reply]]) -> None:
        """The longest requests that the server takes; a server that does not say gets those that every one takes."""
        try:
            limits = wire.extended_reply(asked.result()[0])
            limits.integer(8)
            read, write = limits.integer(8), limits.integer(8)
        except (ConnectionGone, Garbled, wire.Said):
            return
        self.longest_read = min(read or SAFE_LENGTH, MOST_LENGTH)
        self.longest_write = min(write or SAFE_LENGTH, MOST_LENGTH)

    def ask(self, *requests: Request) -> asyncio.Future[list[Reply]]:
        """Send requests, in this order; the answers, in the same order, when all have come."""
        future: asyncio.Future[list[Reply]] = self.loop.create_future()
        if self._gone or not requests:
            future.set_exception(self._gone) if self._gone else future.set_result([])
            return future
        now = self.loop.time()
        if not self._waiting:
            self.heard = now
        batch = _Batch(len(requests), future, now)
        for slot, request in enumerate(requests):
            self._number = (self._number + 1) & 0xFFFFFFFF
            self._waiting[self._number] = (batch, slot)
            self._out.append(memoryview(wire.frame(self._number, request)))
            if request.data:
                self._out.append(memoryview(request.data))
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._flush)
        return future

    async def one(self, request: Request) -> Reply:
        """The answer to a single request."""
        return (await self.ask(request))[0]

    def _flush(self) -> None:
        self._scheduled = False
        while self._out and not self._paused and not self._gone:
            self._write()

    def _write(self) -> None:
        """Give asyncssh the next packet: it cuts no more, and no large memory is taken and given back all the time."""
        assert self._channel
        parts, size = [], 0
        while self._out and size < WRITE_AT_ONCE:
            part = self._out.popleft()
            if len(part) > PACKET_BYTES - size:
                self._out.appendleft(part[PACKET_BYTES - size :])
                part = part[: PACKET_BYTES - size]
            parts.append(part)
            size += len(part)
        try:
            self._channel.write(b"".join(parts))
        except OSError as error:
            self.end(str(error))

    # What asyncssh calls

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        unlogged(chan)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is not None:
            return  # what the server's programs say on stderr
        self.heard = self.loop.time()
        try:
            self._in = self._parsed(self._in + data if self._in else data)
        except Garbled as error:
            self.end(f"the server's answer is not SFTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc) if exc else "the connection was closed")

    def end(self, why: str) -> None:
        """Give up: everything that waits for an answer gets ConnectionGone."""
        if self._gone:
            return
        self._gone = ConnectionGone(why)
        waiting, self._waiting = self._waiting, {}
        self._out.clear()
        for batch, _ in waiting.values():
            _give_up(batch.future, self._gone)
        _give_up(self._version, self._gone)
        if self._channel:
            self._channel.abort()

    def _parsed(self, data: bytes) -> bytes:
        """Take the answers from the front of `data`; returns the beginning of one that is still to come."""
        at, end = 0, len(data)
        while end - at >= _REPLY.size:
            size, kind, number = _REPLY.unpack_from(data, at)
            if not _REPLY.size - 4 <= size <= LONGEST_REPLY:
                raise Garbled(f"an answer of {size} bytes")
            if end - at < 4 + size:
                break
            self._take(kind, number, data[at + _REPLY.size : at + 4 + size])
            at += 4 + size
        return data[at:]

    def _take(self, kind: int, number: int, body: bytes) -> None:
        if kind == wire.VERSION:
            self._greet(number, body)
            return
        batch, slot = self._waiting.pop(number, (None, 0))
        if batch is None:
            raise Garbled("an answer to a request that was not sent")
        batch.replies[slot] = Reply(kind, body)
        batch.left -= 1
        if not batch.left and not batch.future.done():
            self.quickest_seconds = min(self.quickest_seconds, self.heard - batch.asked)
            batch.future.set_result(batch.replies)

    def _greet(self, version: int, body: bytes) -> None:
        reader, found = wire.Reader(body), []
        if version < 3:
            raise Garbled("a version before 3")
        while not reader.at_end():
            found.append(reader.text().decode("utf-8", "replace"))
            reader.text()
        if not self._version.done():
            self._version.set_result(frozenset(found))


def _give_up(future: asyncio.Future[Any], why: ConnectionGone) -> None:
    if not future.done():
        future.set_exception(why)
        future.exception()  # perhaps nobody waits for it any more
