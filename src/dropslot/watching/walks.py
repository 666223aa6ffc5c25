"""Names with the times at which each is to be looked at, and walks of what is due, one at a time. Each call does a
slice of a walk, so that nothing else waits long.
"""

from __future__ import annotations

import heapq
import itertools
import os
from collections.abc import Callable, Generator
from typing import NamedTuple

from dropslot.watching import quiet
from dropslot.watching.temporary import Inside


class Walked(NamedTuple):
    """A walk that ended. `seen` is None when the tree changed under it, was gone, or could not be read (`error`)."""

    name: str
    top: os.stat_result
    begun: float  # monotonic
    seen: quiet.Look | None
    error: OSError | None = None


class _UnderWay(NamedTuple):
    name: str
    top: os.stat_result
    begun: float
    steps: Generator[None, None, quiet.Look | None]


class Walks:
    """Of the entries of one inbox. `gone` is called for one that vanished. Times are of time.monotonic."""

    def __init__(
        self,
        lstat: Callable[[str], os.stat_result | None],
        inbox: str,
        inside: Inside,
        gone: Callable[[str], None],
        *,
        names_only: bool,
    ) -> None:
        self._lstat = lstat
        self._gone = gone
        self._inbox = inbox
        self._inside = inside
        self._names_only = names_only
        self._agenda = Agenda()
        self._walk: _UnderWay | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._agenda or (self._walk is not None and self._walk.name == name)

    def add(self, name: str, when: float) -> None:
        """Walk it from then on; a walk of it that is under way goes on."""
        self._agenda.add(name, when)

    def drop(self, name: str) -> None:
        self._agenda.drop(name)
        if self._walk is not None and self._walk.name == name:
            self.close()

    def next(self) -> float | None:
        """When there is something to do; a past time means at once."""
        return float("-inf") if self._walk is not None else self._agenda.next()

    def step(self, now: float) -> tuple[Walked | None, int]:
        """Go on with one slice, if one is due: what has ended by it, and how many entries it cost; 0: none is due."""
        if self._walk is None and not self._begin(now):
            return None, 0
        assert self._walk is not None
        walk = self._walk
        try:
            next(walk.steps)
        except StopIteration as end:
            seen: quiet.Look | None = end.value
            cost = min(seen.entries, quiet.SLICE) if seen else quiet.SLICE
            return self._end(walk, seen), cost
        except OSError as error:
            return self._end(walk, None, error), quiet.SLICE
        return None, quiet.SLICE

    def close(self) -> None:
        """Give back what a walk under way holds open."""
        if self._walk is not None:
            self._walk.steps.close()
            self._walk = None

    def _begin(self, now: float) -> bool:
        while (name := self._agenda.pop_due(now)) is not None:
            top = self._lstat(name)
            if top is not None:
                path = os.path.join(self._inbox, name)
                steps = quiet.look(path, top, self._inside, names_only=self._names_only)
                self._walk = _UnderWay(name, top, now, steps)
                return True
            self._gone(name)
        return False

    def _end(self, walk: _UnderWay, seen: quiet.Look | None, error: OSError | None = None) -> Walked:
        self._walk = None
        return Walked(walk.name, walk.top, walk.begun, seen, error)


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
