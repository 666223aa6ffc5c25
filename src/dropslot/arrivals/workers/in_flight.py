"""How many arrivals may be worked on at the same time for one destination: the key `at_once` of `deliver`.

A limit is that of a server, or of the folder of this machine before the first field: all routes that deliver there
share it. The database counts, so it holds for all workers of all machines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from dropslot.config import Config


class Rooms:
    """What may still be taken now, by destination."""

    def __init__(self, places: Mapping[str, frozenset[str]], left: Mapping[str, int]) -> None:
        self._places = places
        self._left = dict(left)

    def of(self, route: str) -> int:
        """How many arrivals of a route may be taken."""
        return min((max(0, self._left[place]) for place in self._places.get(route, ())), default=sys.maxsize)

    def take(self, route: str, count: int) -> None:
        """So many of a route are taken."""
        for place in self._places.get(route, ()):
            self._left[place] -= count


class Limits:
    """The limits of a configuration, one object of a process. False: there are none."""

    def __init__(self, config: Config | None = None) -> None:
        self._most: dict[str, int] = {}
        routes = config.routes if config else {}
        for rule in (rule for route in routes.values() for rule in route.deliver):
            if rule.at_once is not None:
                self._most[rule.limited_as] = min(rule.at_once, self._most.get(rule.limited_as, rule.at_once))
        self._places = {
            key: places
            for key, route in routes.items()
            if (places := frozenset(rule.limited_as for rule in route.deliver) & self._most.keys())
        }

    def __bool__(self) -> bool:
        return bool(self._places)

    def rooms(self, at_work: Iterable[tuple[str, int]]) -> Rooms:
        """What may be taken besides what is at work: routes, and how many arrivals of each."""
        left = dict(self._most)
        for route, count in at_work:
            for place in self._places.get(route, ()):
                left[place] -= count
        return Rooms(self._places, left)
