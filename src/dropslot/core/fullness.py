"""How full a file system is, as `df` shows it, and what else limits how much fits into a place."""

from __future__ import annotations

import math
from typing import NamedTuple


def percent_full(total: int, free: int, usable: int) -> int:
    """In percent of the usable space, rounded up; root's reserve does not count. `free` includes this reserve,
    `usable` does not; any unit."""
    return percent_used(total - free, usable)


def percent_used(used: int, usable: int) -> int:
    """In percent of what is used and what still may be, rounded up; any unit."""
    return math.ceil(100 * used / (used + usable)) if used + usable > 0 else 0


FILE_SYSTEM = "file system"


class Capacity(NamedTuple):
    """What limits how much fits into a place: a file system, or a quota on it. `id` is the same for all places that
    share it, on all machines. `free_files`: how many more files fit; None: no limit is known. `machine` is the only one
    that sees it; empty: others may see it, too."""

    what: str  # file system, or for example `quota of group heart`
    id: str
    used_bytes: int
    free_bytes: int
    used_files: int = 0
    free_files: int | None = None
    machine: str = ""
