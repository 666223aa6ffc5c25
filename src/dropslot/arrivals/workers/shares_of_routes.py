"""Which arrivals a worker takes: of each route that has work an equal part, however many of one wait, and no more than
there is room for at their destinations.

The key `at_once` of `deliver` says how many may be worked on at the same time for one destination. Such a limit is that
of a server, or of the folder of this machine before the first field: all routes that deliver there share it. The
database counts, so it holds for all workers of all machines.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable, Mapping, Sequence

from django.db import connection
from django.db.models import QuerySet

from dropslot.arrivals.models import Arrival
from dropslot.config import Config

_LEAST = 8  # of one route: with very many routes, a batch has some of them, and the next batch others
_BUSY = """
WITH RECURSIVE busy(route) AS (
    SELECT min(route) FROM dropslot_arrival WHERE finished_at IS NULL AND held_at IS NULL
    UNION ALL
    SELECT (SELECT min(next.route) FROM dropslot_arrival AS next
            WHERE next.finished_at IS NULL AND next.held_at IS NULL AND next.route > busy.route)
    FROM busy WHERE busy.route IS NOT NULL
)
SELECT route FROM busy WHERE route IS NOT NULL
"""


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


def fair(
    candidates: QuerySet[Arrival], limit: int, rooms: Rooms, routes: Sequence[str] = ()
) -> list[Arrival]:
    """At most `limit` of the candidates, locked for the transaction; those of one route follow each other by rank.
    `routes`: those that they are of, if that is known."""
    found: list[Arrival] = []
    routes = routes or busy_routes()
    while routes and len(found) < limit:
        share = max(_LEAST, math.ceil((limit - len(found)) / len(routes)))
        routes = [
            route
            for route in routes
            if _take(candidates, route, min(share, limit - len(found)), rooms, found)
        ]
    return found


def _take(candidates: QuerySet[Arrival], route: str, share: int, rooms: Rooms, found: list[Arrival]) -> bool:
    """Add a part of one route to `found`. Whether it may have more."""
    wanted = min(share, rooms.of(route))
    if wanted <= 0:
        return False
    rows = candidates.filter(route=route)
    if mine := [arrival.id for arrival in found if arrival.route == route]:
        rows = rows.exclude(id__in=mine)
    new = list(locked(rows)[:wanted])
    rooms.take(route, len(new))
    found += new
    return len(new) == wanted


def locked(rows: QuerySet[Arrival]) -> QuerySet[Arrival]:
    """The rows that no other worker is just taking, locked where the database can."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows


def busy_routes() -> Sequence[str]:
    """The routes with unfinished arrivals, from a random one on. One step along an index for each: it takes as long
    with a hundred thousand waiting as with one."""
    with connection.cursor() as cursor:
        cursor.execute(_BUSY)
        routes = [route for (route,) in cursor.fetchall()]
    start = random.randrange(len(routes)) if len(routes) > 1 else 0
    return [*routes[start:], *routes[:start]]
