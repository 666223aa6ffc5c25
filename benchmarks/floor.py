"""A floor for many small files to a server: the requests that dropslot makes for each, and nothing of its own work.

All of them are made before the clock starts, and are sent over one connection as they lie in memory; answers are
counted, not looked at. openssl hashes the tree beside it. Nothing is listed, checked, compared, published or recorded.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import Timed, must_hold
from benchmarks.disks import settle_disk
from benchmarks.server import Server
from benchmarks.sources import Source
from dropslot.destinations.sftp.sending import NEW
from dropslot.sftp import runtime, wire
from dropslot.sftp.accounts import Account
from dropslot.sftp.channel import MOST_LENGTH, Channel
from dropslot.sftp.connection import CHANNELS, Connection
from dropslot.sftp.wire import Attributes, Request

_HANDLE = bytes(4)  # OpenSSH's first one; each file of a channel gets it again
_PATIENCE_SECONDS = 120  # else a lost connection would be waited for without end
_HASHING = 'find "$1" -type f -print0 | xargs -0 openssl dgst -sha256'
# More on its way to one of its processes only makes the server slower: it falls out of the processors' caches.
_UNANSWERED_BYTES = 256 * 1024


def run(tree: Path, target: Path, source: Source, server: Server, *, synced: bool) -> Timed:
    """Seconds until the last answer, and the last hash."""
    target.mkdir()
    streams = _streams(tree, target, synced=synced)
    account = Account("root", "127.0.0.1", server.port, str(server.key), str(server.known_hosts))
    own = runtime.current()
    try:
        connection = own.run(_wide(account))
        settle_disk(target)
        begun = time.perf_counter()
        with subprocess.Popen(["sh", "-c", _HASHING, "sh", str(tree)], stdout=subprocess.DEVNULL) as hashing:
            own.run(_sent(connection, streams))
        spent = time.perf_counter() - begun
    finally:
        runtime.close()
    if hashing.returncode:
        raise RuntimeError("openssl did not hash the tree")
    must_hold(target, source)
    return Timed(spent)


async def _wide(account: Account) -> Connection:
    connection = await runtime.current().connection(account)
    await connection.widened()
    return connection


def _streams(tree: Path, target: Path, *, synced: bool) -> list[list[bytes]]:
    """For each channel the requests of its files, each as it goes out."""
    streams: list[list[bytes]] = [[] for _ in range(CHANNELS)]
    for number, file in enumerate(sorted(path for path in tree.rglob("*") if path.is_file())):
        path = target / file.relative_to(tree)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = streams[number % CHANNELS]
        for request in _requests(file.read_bytes(), str(path), synced=synced):
            stream.append(wire.frame(len(stream), request) + request.data)
    return streams


def _requests(data: bytes, path: str, *, synced: bool) -> Iterator[Request]:
    """What dropslot asks for a small file."""
    yield wire.open_file(path, NEW)
    for at in range(0, len(data), MOST_LENGTH):
        yield wire.write(_HANDLE, at, data[at : at + MOST_LENGTH])
    yield wire.set_attributes_of(_HANDLE, Attributes(mtime=1_700_000_000))
    if synced:
        yield wire.extended(wire.FSYNC, wire.text(_HANDLE))
    yield wire.close(_HANDLE)
    yield wire.on(wire.LSTAT, path)


async def _sent(connection: Connection, streams: list[list[bytes]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(_Sending(*one).done for one in zip(connection.channels, streams, strict=True)))


class _Sending:
    """One channel, whose answers are counted in place of being given to anyone."""

    def __init__(self, channel: Channel, stream: list[bytes]) -> None:
        self._channel: Any = channel
        self._ends: list[int] = []
        for request in stream:
            self._ends.append(len(request) + (self._ends[-1] if self._ends else 0))
        self._all = memoryview(b"".join(stream))
        self._answered = self._sent = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.heard = float("inf")
        self._channel._parsed = self._count
        self._go_on()

    def _go_on(self) -> None:
        answered_bytes = self._ends[self._answered - 1] if self._answered else 0
        last = min(bisect_left(self._ends, answered_bytes + _UNANSWERED_BYTES), len(self._ends) - 1)
        if self._ends[last] > self._sent:
            self._channel._out.append(self._all[self._sent : self._ends[last]])
            self._sent = self._ends[last]
            self._channel._flush()

    def _count(self, data: bytes) -> bytes:
        at, end = 0, len(data)
        while end - at >= 4 and (size := 4 + int.from_bytes(data[at : at + 4], "big")) <= end - at:
            self._answered += 1
            at += size
        if self._answered == len(self._ends):
            self.done.set_result(None)
        self._go_on()
        return data[at:]
