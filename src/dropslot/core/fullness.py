"""How full a file system is, as `df` shows it."""

from __future__ import annotations

import math


def percent_full(total: int, free: int, usable: int) -> int:
    """In percent of the usable space, rounded up; root's reserve does not count. `free` includes this reserve,
    `usable` does not; any unit."""
    used = total - free
    return math.ceil(100 * used / (used + usable)) if used + usable > 0 else 0
