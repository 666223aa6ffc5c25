"""Reads the items of an arrival at their source: to hash them, and again when they are sent.

Nothing is copied. What is sent is proved to be what was staged: by its SHA-256, which is taken once more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dropslot.contents.base import Source
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.files import copying, faults
from dropslot.files.copying import READ, Hash, fresh_hashes
from dropslot.files.descriptors import Descent, Folder
from dropslot.files.listing import Item
from dropslot.files.regular_files import open_at_source

_PIECE_BYTES = 1 << 20


class Reading:
    """Opens items one after the other, each proved to be the listed one. `unleased` counts those without a lease."""

    def __init__(self, source: Source, folder: Folder, algorithms: Sequence[str]) -> None:
        self._lease, self._sources = source.lease, Descent(folder.fd)
        self._fresh = fresh_hashes(algorithms)
        self._piece = memoryview(bytearray(_PIECE_BYTES))
        self.unleased = 0

    def hashes(self) -> list[Hash]:
        """New ones, in the order of the algorithms."""
        return [fresh.copy() for fresh in self._fresh]

    @contextmanager
    def open(self, item: Item) -> Iterator[int]:
        """A descriptor of the item. Raises SourceChanged, SourceUnready, StorageFault."""
        folder, _, name = item.path.rpartition("/")
        try:
            fd = os.open(name, READ, dir_fd=self._sources.fd(folder))
        except OSError as error:
            raise faults.at_source(error, item.path) from error
        try:
            copying.require_same(fd, item)
            if self._lease and not copying.take_lease(fd, item.path):
                self.unleased += 1
            yield fd
        finally:
            os.close(fd)

    def digests(self, item: Item) -> bytes:
        """The digests of an item, joined. Raises the same."""
        hashes, done = self.hashes(), 0
        with self.open(item) as fd:
            while count := read_into(fd, self._piece, item.path):
                done += count
                for one in hashes:
                    one.update(self._piece[:count])
        require_count(item, done)
        return b"".join(one.digest() for one in hashes)

    def close(self) -> None:
        self._sources.close()


def read_into(fd: int, buffer: memoryview, path: str) -> int:
    """One read of the source. Raises StorageFault and similar."""
    try:
        return os.readv(fd, [buffer])
    except OSError as error:
        raise faults.at_source(error, path) from error


def require_count(item: Item, count: int) -> None:
    """Raise SourceChanged if an item gave more or fewer bytes than it was listed with."""
    if count != item.size_bytes:
        raise copying.miscounted(item, count)


def staged_bytes(folder: Folder, item: Item, sha256: str) -> bytes:
    """A small item once more, if it is what was staged. Raises SourceChanged and similar."""
    with os.fdopen(open_at_source(folder, item.path), "rb") as file:
        try:
            data = file.read(item.size_bytes + 1)
        except OSError as error:
            raise faults.at_source(error, item.path) from error
    if hashlib.sha256(data, usedforsecurity=False).hexdigest() != sha256:
        raise changed(item)
    return data


def changed(item: Item) -> DropslotError:
    """The error for an item with other bytes than those that were staged."""
    return faults.source_changed(f"{escape(item.path)} changed since it was staged")
