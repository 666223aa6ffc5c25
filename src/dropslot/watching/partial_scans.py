"""A scan of an inbox in parts, and how much of an inbox is held in memory: a million entries may lie in one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PART = 10_000  # entries
# Entries that were noticed and not looked at yet. The others are noticed when there is room.
MOST_FRESH = 20_000
# Entries that are kept in all, before those are left out at which nobody ever looks: temporary names, other kinds.
MOST_KEPT = 100_000


class Part(NamedTuple):
    """Some entries of one scan."""

    entries: list[os.DirEntry[str]]
    is_first: bool = True
    is_last: bool = True


def parts(entries: Iterable[os.DirEntry[str]]) -> Iterator[Part]:
    """The whole scan; one part, perhaps empty, if there are not many entries. Raises what `entries` raises."""
    is_first, part = True, list[os.DirEntry[str]]()
    for entry in entries:
        if len(part) == PART:
            yield Part(part, is_first, False)
            is_first, part = False, []
        part.append(entry)
    yield Part(part, is_first, True)


class Room:
    """The names that were noticed and not looked at yet; `overlooked`: others were not noticed for want of room."""

    def __init__(self) -> None:
        self._fresh: set[str] = set()
        self.overlooked = False

    def left(self) -> int:
        """How many more may be noticed."""
        return max(0, MOST_FRESH - len(self._fresh))

    def take(self, name: str) -> bool:
        """Notice one more; False: there is no room for it."""
        if not self.left():
            self.overlooked = True
            return False
        self._fresh.add(name)
        return True

    def looked_at(self, name: str) -> None:
        """It was looked at, or is gone."""
        self._fresh.discard(name)

    def wants_scan(self) -> bool:
        """Whether a scan would find entries that now have room."""
        return self.overlooked and self.left() > MOST_FRESH // 2
