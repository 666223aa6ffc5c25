"""What an arrival holds: its items, folders and faults, seen without following a link."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core import litter
from dropslot.core.litter import Litter

MOST_BYTES = 2**63 - 1


class Item(NamedTuple):
    """One regular file of an arrival, as it was when the arrival was listed.

    `path` is relative to the arrival, with `/`; for an arrival that is a single file it is the file's own name.
    Bytes that are no UTF-8 are surrogate-escaped (such an item always has a fault). Times in ns.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(slots=True)
class Listing:
    """`items` and `folders` (relative paths, parents first, the arrival itself left out), in a stable order.

    `faults` has a sentence for each thing that no destination may get: links, special files, hard links,
    unsafe names. `unreadable` names what the service may not read now; it may heal, so it is no fault. `ignored` has
    the paths of what `litter` says is to be left alone: none of it is in the others, and of a folder only itself is
    named.
    """

    is_folder: bool
    items: list[Item] = field(default_factory=list)
    folders: list[tuple[str, int]] = field(default_factory=list)  # (path, mtime_ns)
    faults: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    litter: Litter = litter.NONE

    @property
    def size_bytes(self) -> int:
        """Sum of the items' sizes; of sparse files that together are larger than any record holds, that limit."""
        return min(sum(item.size_bytes for item in self.items), MOST_BYTES)
