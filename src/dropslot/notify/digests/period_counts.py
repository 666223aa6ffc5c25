"""What happened in a period on each route that somebody sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, Q

from dropslot.access.models import Grant
from dropslot.access.roles import SEES_ROUTE, Role
from dropslot.access.seen import Access
from dropslot.config import Config
from dropslot.core.states import State
from dropslot.notify.digests.periods import Period

_COUNTED = ("received", "delivered", "refused", "fetched")


def sees_everything(config: Config) -> Access:
    """What an address of config.yaml is told about: all routes."""
    return Access("", (Grant(role=Role.AUDITOR.value),), config)


def rows(access: Access, period: Period) -> list[dict[str, Any]]:
    """One for each route where something happened, in the order of config.yaml: about, received, delivered, refused,
    fetched."""
    counts = Counter(dict(_counts(access, period)))
    return [
        {"about": route, **{what: counts[route, what] for what in _COUNTED}}
        for route in access.config.routes
        if any(counts[route, what] for what in _COUNTED)
    ]


def _counts(access: Access, period: Period) -> Iterator[tuple[tuple[str, str], int]]:
    yield from _of("received", access.arrivals().filter(_within("received_at", period)), "route")
    finished = access.arrivals().filter(_within("finished_at", period))
    yield from _of("delivered", finished.filter(state=State.DONE), "route")
    yield from _of("refused", finished.filter(state=State.FAILED), "route")
    if not access.has(frozenset(Role) - {Role.RECIPIENT}):  # it sees deliveries alone
        made = access.deliveries().filter(_within("arrival__finished_at", period))
        yield from _of("delivered", made, "arrival__route", "arrival")
    fetched = access.acknowledgments().filter(_within("at", period), undone_at=None)
    yield from _of("fetched", fetched, "delivery__arrival__route")


def _of(what: str, found: Any, route: str, counted: str = "pk") -> Iterable[tuple[tuple[str, str], int]]:
    groups = found.order_by().values_list(route).annotate(Count(counted, distinct=True))
    return (((key, what), count) for key, count in groups)


def _within(column: str, period: Period) -> Q:
    return Q((f"{column}__gte", period.since), (f"{column}__lt", period.until))


def sees(access: Access, route: str) -> bool:
    """Whether it is told what is late on a route, or, where that is empty, on none in particular."""
    return access.has(SEES_ROUTE, route) if route else access.sees_all_routes()
