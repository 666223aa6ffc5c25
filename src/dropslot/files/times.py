"""Times of files that a destination or the record cannot hold, as some programs and damaged clocks set them."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from dropslot.files.listing import Item

EARLIEST_NS, LATEST_NS = -(2**63), 2**63 - 1  # what the record holds: 1677 to 2262
_ANYWHERE_BEFORE_NS = 2**31 * 1_000_000_000  # every file system holds times from 1970 to January 2038
_SAME_NS = 2_000_000_000  # FAT keeps even seconds

_time_of = operator.itemgetter(2)  # mtime_ns, of a hundred thousand items


def unusual(items: Sequence[Item]) -> list[int]:
    """Positions of the items whose time not every file system can hold."""
    times = list(map(_time_of, items))
    if not times or (min(times) >= 0 and max(times) < _ANYWHERE_BEFORE_NS):  # nearly always, and quick to see
        return []
    return [at for at, time in enumerate(times) if not 0 <= time < _ANYWHERE_BEFORE_NS]


def storable(time_ns: int) -> int:
    """The nearest time that the record holds."""
    return min(max(time_ns, EARLIEST_NS), LATEST_NS)


def is_kept(time_ns: int, kept_ns: int) -> bool:
    """Whether record and destination, which has `kept_ns`, say the same time as the source, but for its fraction."""
    return storable(time_ns) == time_ns and abs(time_ns - kept_ns) < _SAME_NS
