"""A folder or a single file whose items are delivered as they are; other kinds of contents override what differs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder
from dropslot.files.listing import MOST_BYTES, Item, Listing
from dropslot.files.writing.dense import go_on

OpenItem = Callable[[str], BinaryIO]


class Contents:
    """The listing of an arrival, and which of its items are delivered under which paths.

    Every item is staged and hashed. The items in the folder `prefix` are delivered (all items if it is empty), under
    their paths in that folder. `algorithms` are the digests to take of each item while it is read once; sha256 comes
    first. `is_bag`: the sender's own manifests list the items, and `faults` compares them.
    """

    prefix = ""
    is_bag = False

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.held_back: frozenset[str] = (
            frozenset()
        )  # listed items that are staged and archived, not delivered
        self.source_prefix = self.prefix  # the folder in the sent arrival whose items are delivered

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names in hashlib's spelling."""
        return ("sha256",)

    def path_of(self, item: str) -> str | None:
        """The path below a target of a listed item or folder; None if it is not delivered."""
        if item in self.held_back or not item.startswith(self.prefix):
            return None
        return item.removeprefix(self.prefix)

    def paths(self, items: Sequence[Item]) -> Iterator[str]:
        """The paths of those items that are delivered."""
        if not self.prefix and not self.held_back:
            return (item.path for item in items)
        return (path for item in items if (path := self.path_of(item.path)) is not None)

    def size(self) -> tuple[int, int]:
        """The number of delivered items, and their bytes, up to the most that the record can hold."""
        items = self.listing.items
        sizes = [item.size_bytes for item in items if self.path_of(item.path) is not None]
        return len(sizes), min(sum(sizes), MOST_BYTES)

    def delivered(self, staged: Sequence[Staged]) -> list[tuple[str, Staged]]:
        """(path below the target, item) of all staged items that are delivered."""
        if not self.prefix and not self.held_back:
            return [(item.path, item) for item in staged]
        return [(path, item) for item in staged if (path := self.path_of(item.path)) is not None]

    def faults(self, staged: Sequence[Staged], open_item: OpenItem) -> list[str]:  # noqa: ARG002
        """A sentence for each difference from the sender's manifests. `open_item` opens a staged item's bytes by its
        path. Read errors pass through: they are not a verdict."""
        return []


NO_OTHERS: Mapping[str, str] = MappingProxyType({})


class ListedItem(NamedTuple):
    """One item before it is staged. `open` gives its bytes. If the bytes that are staged later differ from them, the
    attempt fails and everything is asked again."""

    path: str  # below the target
    size_bytes: int
    open: Callable[[], BinaryIO]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Staged(NamedTuple):
    """One staged item; `path` as it was listed. `others` maps further algorithms ("md5", "sha512", …) to hex."""

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    others: Mapping[str, str] = NO_OTHERS

    @property
    def digests(self) -> dict[str, str]:
        """All digests by algorithm; sha256 is always there."""
        return {"sha256": self.sha256, **self.others}


class Source(NamedTuple):
    """An arrival's absolute path and its listing. `lease`: a program that wants to write to it may have to wait while
    it is read. Whoever reads it calls `pause` now and then, between pieces of the work, in the thread that began it:
    then other work is done."""

    path: Path
    listing: Listing
    lease: bool = False
    pause: Callable[[], None] = go_on

    def open(self) -> Folder:
        """The arrival's folder, which must not be a link, or the folder that holds its single file. Raises the errors
        of `faults.at_source`."""
        path = os.fspath(self.path)
        try:
            if self.listing.is_folder:
                return Folder(os.open(path, FOLDER))
            return Folder.trusted(os.path.dirname(path))
        except OSError as error:
            raise faults.at_source(error, os.path.basename(path)) from error
