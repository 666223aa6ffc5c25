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

OpenItem = Callable[[str], BinaryIO]


class Contents:
    """What was listed of an arrival, and what of it is delivered under which paths.

    Every item is staged and hashed. Delivered is what lies in the folder `prefix` (all of it, where that is empty),
    under its path in there. `algorithms` are the digests to take of each item while it is read once; sha256 comes
    first. `is_bag`: the sender's own manifest tells what there must be, and `faults` holds it against that.
    """

    prefix = ""
    is_bag = False

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.source_prefix = self.prefix  # the folder in what was sent whose items are delivered

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names as hashlib has them."""
        return ("sha256",)

    def path_of(self, item: str) -> str | None:
        """The path, below a target, of an item or folder as it was listed; None when it is not delivered."""
        return item.removeprefix(self.prefix) if item.startswith(self.prefix) else None

    def paths(self, items: Sequence[Item]) -> Iterator[str]:
        """The path of each of these items that is delivered."""
        prefix = self.prefix
        if not prefix:
            return (item.path for item in items)
        return (item.path.removeprefix(prefix) for item in items if item.path.startswith(prefix))

    def size(self) -> tuple[int, int]:
        """How many items are delivered, and their bytes: as many as the record holds."""
        sizes = [item.size_bytes for item in self.listing.items if item.path.startswith(self.prefix)]
        return len(sizes), min(sum(sizes), MOST_BYTES)

    def delivered(self, staged: Sequence[Staged]) -> list[tuple[str, Staged]]:
        """Of what was staged: (path below the target, item) of all that is delivered."""
        prefix = self.prefix
        if not prefix:
            return [(item.path, item) for item in staged]
        return [(item.path.removeprefix(prefix), item) for item in staged if item.path.startswith(prefix)]

    def faults(self, staged: Sequence[Staged], open_item: OpenItem) -> list[str]:  # noqa: ARG002
        """A sentence for everything that is not as the sender says it is. `open_item` opens a staged item's bytes by
        its path; errors of reading pass through, since they are no verdict."""
        return []


NO_OTHERS: Mapping[str, str] = MappingProxyType({})


class ListedItem(NamedTuple):
    """One item before it is staged. `open` gives its bytes: if other bytes than those that were read are staged
    afterwards, the attempt is void, and all is asked anew."""

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
    """Where an arrival lies (its absolute path) and what it was seen to hold. `lease`: nobody minds when a program that
    wants to write to it has to wait while it is read."""

    path: Path
    listing: Listing
    lease: bool = False

    def open(self) -> Folder:
        """The arrival's folder, which may be no link, or the folder that holds its single file. Raises what
        `faults.at_source` does."""
        path = os.fspath(self.path)
        try:
            if self.listing.is_folder:
                return Folder(os.open(path, FOLDER))
            return Folder.trusted(os.path.dirname(path))
        except OSError as error:
            raise faults.at_source(error, os.path.basename(path)) from error
