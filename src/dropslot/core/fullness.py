"""How full a file system is, as `df` shows it."""

from __future__ import annotations

import math


def percent_full(total: int, free: int, usable: int) -> int:
    """In percent of what may be used at all, rounded up: what only root may fill does not count. `free` is with root's
    reserve, `usable` without; any unit."""
    used = total - free
    return math.ceil(100 * used / (used + usable)) if used + usable > 0 else 0
