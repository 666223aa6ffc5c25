"""Which arrivals a worker takes: of each route that has work an equal part, however many of one wait, and no more than
there is room for at their destinations."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from django.db import connection
from django.db.models import QuerySet

from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers.in_flight import Rooms

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
