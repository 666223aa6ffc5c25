"""What was delivered on each of the last days, as a chart. Days that have ended are counted every ten minutes only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet, Sum

from dropslot.access.seen import Access
from dropslot.arrivals.listings.times_of_ids import first_id, midnight
from dropslot.arrivals.models import Arrival
from dropslot.core.context import kept
from dropslot.core.states import State
from dropslot.portal.homes.section import Remembered, scope

DAYS = 30
_HEIGHT, _STEP, _WIDTH = 100, 20, 14
_KEEP_SECONDS = 600.0


class Day(NamedTuple):
    """Arrivals that came on one day and were delivered, and their items."""

    day: date
    arrivals: int
    items: int


class Bar(NamedTuple):
    """A day, and its place in the drawing."""

    day: Day
    x: int
    y: int
    width: int
    height: int


class Chart(NamedTuple):
    """The drawing's size, its bars, and the largest day."""

    width: int
    height: int
    bars: Sequence[Bar]
    most: int
    total: int


def chart(access: Access) -> Chart:
    """The last DAYS days of what an account sees, the newest last."""
    zone = access.config.zone
    today = datetime.now(zone).date()
    before = kept(Remembered).get(
        ("days", scope(access), today),
        _KEEP_SECONDS,
        lambda: _count(access.arrivals(), _earlier(today), zone),
    )
    return drawn([*before, *_count(access.arrivals(), [today], zone)])


def drawn(days: Sequence[Day]) -> Chart:
    """Days as bars; one that has anything is at least a line."""
    most = max((day.arrivals for day in days), default=0)
    bars = []
    for place, day in enumerate(days):
        height = max(2, round(_HEIGHT * day.arrivals / most)) if day.arrivals else 0
        bars.append(Bar(day, place * _STEP + (_STEP - _WIDTH) // 2, _HEIGHT - height, _WIDTH, height))
    return Chart(len(days) * _STEP, _HEIGHT, bars, most, sum(day.arrivals for day in days))


def _earlier(today: date) -> list[date]:
    return [today - timedelta(days=back) for back in range(DAYS - 1, 0, -1)]


def _count(seen: QuerySet[Arrival], days: Sequence[date], zone: ZoneInfo) -> list[Day]:
    found = []
    for day in days:
        first, after = (midnight(each, zone) for each in (day, day + timedelta(days=1)))
        rows = seen.filter(state=State.DONE, id__gte=first_id(first), id__lt=first_id(after)).order_by()
        counted = rows.aggregate(arrivals=Count("id"), items=Sum("items"))
        found.append(Day(day, counted["arrivals"], counted["items"] or 0))
    return found
