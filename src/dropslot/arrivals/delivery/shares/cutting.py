"""Cuts the items of a large arrival into shares."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.files.listing import Item
from dropslot.files.sharing import ITEM_COST_BYTES

MOST_SHARES = 64  # unless they would be too large
MOST_ITEMS = 4000  # a share is a row in the database
MOST_BYTES = 4 << 30
_LEAST = 8  # of what is just large enough

Range = tuple[int, int]


def cut(items: Sequence[Item], share_from: int) -> list[Range]:
    """Ranges of neighbouring items of about equal cost; a single one if the arrival is not large enough."""
    cost = sum(item.size_bytes + ITEM_COST_BYTES for item in items)
    if cost < share_from or len(items) < 2:
        return [(0, len(items))]
    limit = min(max(cost // MOST_SHARES, share_from // _LEAST), MOST_BYTES)
    ranges, start, so_far = [], 0, 0
    for at, item in enumerate(items, 1):
        so_far += item.size_bytes + ITEM_COST_BYTES
        if so_far >= limit or at - start == MOST_ITEMS:
            ranges.append((start, at))
            start, so_far = at, 0
    return [*ranges, (start, len(items))] if start < len(items) else ranges
