"""The listing of an arrival: its items, folders and faults, seen without following links. Also times that a destination
or the record cannot hold; some programs and damaged clocks set such times.
"""

from __future__ import annotations

import gc
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core.file_names import litter
from dropslot.core.file_names.litter import Litter

MOST_BYTES = 2**63 - 1


@contextmanager
def without_collection() -> Iterator[None]:
    """Turns garbage collection off: with 100,000 tuples each full one would scan all of them and free nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Item(NamedTuple):
    """One regular file of an arrival, as it was when the arrival was listed.

    `path` is relative to the arrival, with `/`; for an arrival that is a single file it is the file's own name.
    Bytes that are not UTF-8 are surrogate-escaped (such an item always has a fault). Times in ns.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(slots=True)
class Listing:
    """`items` and `folders` (relative paths, parents first, without the arrival itself), in a stable order.

    `faults` has a sentence for each entry that no destination may get: links, special files, hard links, unsafe names.
    `unreadable` has entries that the service cannot read now; that may be temporary, so it is not a fault. `ignored`
    has the paths that `litter` excludes. They are in none of the other lists, and an ignored folder stands for its
    contents.
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
        """Sum of the items' sizes, up to the most that the record holds: sparse files may exceed it."""
        return min(sum(item.size_bytes for item in self.items), MOST_BYTES)


EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1  # the range of the record: 1677 to 2262
_ANYWHERE_BEFORE_NS = 2**31 * 1_000_000_000  # every file system holds times from 1970 to January 2038
_SAME_NS = 2_000_000_000  # FAT keeps even seconds

_time_of = operator.itemgetter(2)  # mtime_ns; quick, for 100,000 items


def unusual(items: Sequence[Item]) -> list[int]:
    """Positions of the items whose time not every file system can hold."""
    times = list(map(_time_of, items))
    if not times or (min(times) >= 0 and max(times) < _ANYWHERE_BEFORE_NS):  # the usual case, tested quickly
        return []
    return [at for at, time in enumerate(times) if not 0 <= time < _ANYWHERE_BEFORE_NS]


def storable(time_ns: int) -> int:
    """The nearest time that the record can hold."""
    return min(max(time_ns, EARLIEST_NS), LATEST_NS)


def is_kept(time_ns: int, kept_ns: int) -> bool:
    """Whether record and destination (which has `kept_ns`) have the source's time, apart from its fraction."""
    return storable(time_ns) == time_ns and abs(time_ns - kept_ns) < _SAME_NS
