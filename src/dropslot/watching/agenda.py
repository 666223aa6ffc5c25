"""Names, and when each is to be looked at."""

from __future__ import annotations

import heapq
import itertools


class Agenda:
    """A name has one time at most; adding it anew moves it. Every call costs O(log n)."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._turn: dict[str, int] = {}  # the one entry of the heap that counts
        self._turns = itertools.count()

    def __contains__(self, name: str) -> bool:
        return name in self._turn

    def add(self, name: str, when: float) -> None:
        self._turn[name] = turn = next(self._turns)
        heapq.heappush(self._heap, (when, turn, name))

    def drop(self, name: str) -> None:
        self._turn.pop(name, None)

    def next(self) -> float | None:
        """The earliest time; None when there is nothing."""
        while self._heap and self._turn.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> str | None:
        """Take off the earliest name whose time has come."""
        when = self.next()
        if when is None or when > now:
            return None
        name = heapq.heappop(self._heap)[2]
        del self._turn[name]
        return name
