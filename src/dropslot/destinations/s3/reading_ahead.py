"""Digests of stored objects. The pipeline asks for one after the other, in the order of an arrival's items: those that
come next are read meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from dropslot.destinations.s3.in_parts import PART_BYTES
from dropslot.destinations.s3.sdk_client import AT_ONCE
from dropslot.destinations.s3.store import Store


def digest_of(store: Store, key: str) -> str | None:
    """SHA-256 (hex) of an object as it is now; None if there is none."""
    hasher = hashlib.sha256(usedforsecurity=False)
    try:
        for block in store.read(key):
            hasher.update(block)
    except FileNotFoundError:
        return None
    return hasher.hexdigest()


class ReadingAhead:
    """Of small objects with these keys. One that is asked for again is read again."""

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        self._store, self._keys = store, keys
        self._places = {key: place for place, key in enumerate(keys)}
        self._pool = ThreadPoolExecutor(AT_ONCE, "dropslot-ahead")
        self._found: dict[str, Future[str | None]] = {}
        self._last = -AT_ONCE - 1

    def digest(self, key: str) -> str | None:
        """As `digest_of`. Raises DestinationUnready."""
        place = self._places.get(key)
        if place is None:
            return digest_of(self._store, key)
        is_near, self._last = 0 < place - self._last <= AT_ONCE, place
        for ahead in self._keys[place : place + (AT_ONCE if is_near else 1)]:
            if ahead not in self._found:
                self._found[ahead] = self._pool.submit(self._read, ahead)
        return self._found.pop(key).result()

    def _read(self, key: str) -> str | None:
        data = self._store.read_beginning(key, PART_BYTES + 1)
        if (
            data is None or len(data) > PART_BYTES
        ):  # none, an empty one, or one that somebody else has put there
            return digest_of(self._store, key)
        return hashlib.sha256(data, usedforsecurity=False).hexdigest()

    def close(self) -> None:
        """Forget what was read ahead. May be called again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
