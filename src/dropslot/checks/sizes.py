"""How large an item and an arrival may be. Sizes are in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from dropslot.checks.base import Check, StagedArrival, StagedItem
from dropslot.core.names import escape


class _Limit(Check):
    def __init__(self, option: int) -> None:
        super().__init__(option)
        if type(option) is not int or option < 0:
            raise ValueError("expected a number, not below 0")
        self.limit = option


class MaxItemSize(_Limit):
    """No item has more bytes than this."""

    def check_item(self, item: StagedItem) -> Iterable[str]:
        """A reason, if the item is larger."""
        if item.size_bytes > self.limit:
            yield f"{escape(item.path)}: it has {item.size_bytes:,} bytes; {self.limit:,} is the limit for an item"


class MaxSize(_Limit):
    """All items together have no more bytes than this."""

    def check(self, arrival: StagedArrival) -> Iterable[str]:
        """A reason, if the arrival is larger."""
        total = sum(item.size_bytes for item in arrival.items)
        if total > self.limit:
            yield f"{escape(arrival.name)}: it has {total:,} bytes in all; {self.limit:,} is the limit for an arrival"


class MaxItems(_Limit):
    """There are no more items than this."""

    def check(self, arrival: StagedArrival) -> Iterable[str]:
        """A reason, if there are more items."""
        count = len(arrival.items)
        if count > self.limit:
            yield f"{escape(arrival.name)}: it has {count:,} items; {self.limit:,} is the limit for an arrival"
