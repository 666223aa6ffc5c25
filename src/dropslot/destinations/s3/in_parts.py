"""One large object, sent in parts while its bytes are read. What an earlier attempt has sent is not sent again.

The store shows nothing of it before `complete`. Every part is hashed here, and again by the store.
"""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from dropslot.core.errors import DestinationUnready
from dropslot.destinations.s3.store import Begun, Part, Store, in_base64

PART_BYTES = 8 << 20  # above this size an object is sent in parts
_MOST_PARTS = 9_000  # stores take 10,000
_UNDER_WAY = 6  # parts in memory, besides the one that is read; fewer if parts are large
_MOST_BYTES = 512 << 20  # of them, as long as two parts are less
ABANDONED = timedelta(days=7)

Read = Callable[[memoryview], int]


class Updated(Protocol):
    """The part of a hash's interface that takes bytes."""

    def update(self, data: bytes | memoryview, /) -> None: ...


def part_bytes(size_bytes: int) -> int:
    """The size of all parts but the last: the same in each attempt, in whole MiB."""
    least = -(-size_bytes // _MOST_PARTS)
    return max(PART_BYTES, -(-least // (1 << 20)) << 20)


def at_once(size_bytes: int) -> int:
    """How many parts of an object of this size are sent at the same time."""
    return max(1, min(_UNDER_WAY, _MOST_BYTES // part_bytes(size_bytes) - 1))


class InParts:
    """One object on its way."""

    def __init__(self, store: Store, key: str, size_bytes: int, metadata: Mapping[str, str]) -> None:
        self.store, self.key, self.size_bytes = store, key, size_bytes
        self.metadata = metadata
        self.upload = ""
        self._there: Mapping[int, Part] = {}
        self._sent: dict[int, tuple[str, bytes]] = {}  # ETag and SHA-256 by number

    def send(self, read: Read, hashes: Sequence[Updated]) -> int:
        """Send all that `read` gives, and hash it. Returns the count of bytes, which is larger than the size if there
        is more. The parts stay at the store, also after an error."""
        self._begin()
        size, most = part_bytes(self.size_bytes), at_once(self.size_bytes)
        free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(min(most + 1, -(-self.size_bytes // size))):
            free.put(bytearray(min(size, self.size_bytes)))
        done, under_way = 0, list[Future[None]]()
        with ThreadPoolExecutor(most, "dropslot-parts") as pool:
            try:
                for number in range(1, -(-self.size_bytes // size) + 1):
                    buffer = free.get()
                    part = _filled(read, memoryview(buffer)[: self.size_bytes - done])
                    if not part:  # it shrank
                        break
                    done += len(part)
                    under_way = _unfinished(under_way)
                    under_way.append(pool.submit(self._send_one, number, part, buffer, free))
                    for one in hashes:
                        one.update(part)
                done += read(memoryview(bytearray(1)))
                for sent in under_way:
                    sent.result()
            finally:
                for sent in under_way:
                    sent.cancel()
        return done

    def state(self) -> list[Any]:
        """What another process needs to complete the object, for JSON: the upload, and of each part its number, its
        ETag and its SHA-256."""
        return [self.upload, [[number, etag, sha256.hex()] for number, (etag, sha256) in self._sent.items()]]

    def restore(self, state: Sequence[Any]) -> None:
        """Take over what another process has sent."""
        self.upload, parts = state
        self._sent = {number: (etag, bytes.fromhex(sha256)) for number, etag, sha256 in parts}

    def complete(self) -> bool:
        """Give the object its key. False: there is one of that key, and it stays as it is; the parts are removed."""
        if len(self._sent) != -(-self.size_bytes // part_bytes(self.size_bytes)):
            raise RuntimeError(f"{len(self._sent)} parts of {self.key!r} were sent: not all")
        parts = [
            {"PartNumber": number, "ETag": etag, "ChecksumSHA256": in_base64(sha256)}
            for number, (etag, sha256) in sorted(self._sent.items())
        ]
        done = self.store.complete(self.key, self.upload, parts)
        if not done:
            self.abort()
        return done

    def abort(self) -> None:
        """Remove the parts."""
        if self.upload:
            self.store.abort(self.key, self.upload)
            self.upload = ""

    def _begin(self) -> None:
        """Continue the newest upload of this key, which is of an earlier attempt, or begin one. How an object is kept
        is fixed when it is begun, and config.yaml may say something else by now: then a new one is begun."""
        begun = [each for each in begun_below(self.store, self.key) if each.key == self.key]
        begun.sort(key=lambda each: each.at)
        going_on = [] if self.store.access.kept_how() else begun[-1:]
        for each in begun[: len(begun) - len(going_on)]:
            self.store.abort(each.key, each.upload)
        self.upload = going_on[0].upload if going_on else self.store.begin(self.key, self.metadata)
        self._there = self.store.parts(self.key, self.upload) if going_on else {}

    def _send_one(
        self, number: int, data: memoryview, buffer: bytearray, free: queue.SimpleQueue[bytearray]
    ) -> None:
        try:
            sha256 = hashlib.sha256(data, usedforsecurity=False).digest()
            there = self._there.get(number)
            if there and _is_same(there, data, sha256):
                self._sent[number] = there.etag, sha256
            else:
                etag = self.store.send_part(self.key, self.upload, number, data, sha256)
                self._sent[number] = etag, sha256
        finally:
            free.put(buffer)


def remove_abandoned(store: Store, begun: Sequence[Begun]) -> None:
    """Remove what was begun long ago, and of which nothing came since."""
    last = datetime.now(UTC) - ABANDONED
    for each in begun:
        if each.at < last and all(part.at < last for part in store.parts(each.key, each.upload).values()):
            store.abort(each.key, each.upload)


def begun_below(store: Store, prefix: str) -> list[Begun]:
    """What was begun of keys that begin so. Nothing if there is no right to look: then all is sent anew."""
    with suppress(DestinationUnready):
        return store.uploads(prefix)
    return []


def _is_same(there: Part, data: memoryview, sha256: bytes) -> bool:
    if there.size_bytes != len(data):
        return False
    if there.sha256:
        return there.sha256 == in_base64(sha256)
    return there.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()


def _filled(read: Read, buffer: memoryview) -> memoryview:
    """The next bytes: as many as the buffer takes, or fewer at the end."""
    done = 0
    while done < len(buffer) and (count := read(buffer[done:])):
        done += count
    return buffer[:done]


def _unfinished(under_way: Sequence[Future[None]]) -> list[Future[None]]:
    """Those that go on; raises what ended one of them."""
    ended = {one for one in under_way if one.done()}  # asked once: one may end at any moment
    for one in ended:
        one.result()
    return [one for one in under_way if one not in ended]
