"""Counts what a report says, a day after another: the database adds up, so that a million deliveries are a few seconds
of its time, none of Python's, and no transaction is long."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import CharField, Count, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.fields.json import KeyTextTransform

from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.listings.times_of_ids import first_id, midnight
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.core.names import escape
from dropslot.core.states import Outcome, State
from dropslot.reports.elapsed import Elapsed
from dropslot.reports.figures import Day, Line, Report, quantile
from dropslot.reports.months import Month

MOST_LINES = 5000
OTHERS = "(others)"
_DELIVERY_SECONDS, _FETCH_SECONDS = 1, 60


class Seen(NamedTuple):
    """What is counted: the arrivals and deliveries that somebody may see, `by` which field those of each configured
    route are told apart (empty: not at all), and the routes of which it is known what is fetched."""

    of: str
    arrivals: QuerySet[Arrival]
    deliveries: QuerySet[Delivery]
    by: Mapping[str, str]
    followed: Collection[str]


@dataclass(slots=True)
class _Tally:
    """One line while it is counted. Times: how often each comes."""

    states: Counter[str] = field(default_factory=Counter)
    files: int = 0
    size_bytes: int = 0
    fetched: int = 0
    to_delivery: Counter[int] = field(default_factory=Counter)
    to_fetch: Counter[int] = field(default_factory=Counter)

    def add(self, other: _Tally) -> None:
        self.states += other.states
        self.files += other.files
        self.size_bytes += other.size_bytes
        self.fetched += other.fetched
        self.to_delivery += other.to_delivery
        self.to_fetch += other.to_fetch


class _Tallies(defaultdict[tuple[str, str], _Tally]):
    """By route and value."""

    def __init__(self) -> None:
        super().__init__(_Tally)

    def of(self, route: str, value: str | None) -> _Tally:
        """That of one line; memory does not grow with values that are as many as arrivals."""
        key = (route, value or "")
        return self[key if key in self or len(self) < MOST_LINES else (route, OTHERS)]


def report(month: Month, zone: ZoneInfo, seen: Seen) -> Report:
    """Count a month."""
    now, tallies, days = datetime.now(UTC), _Tallies(), []
    for day in month.days():
        first, after = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        states = _count(seen, tallies, first_id(first), first_id(after)) if first <= now else Counter()
        days.append(_day(day, states))
    total = _Tally()
    for tally in tallies.values():
        total.add(tally)
    known = {key[0] for key in tallies} & set(seen.followed) or total.fetched
    return Report(
        str(month),
        zone.key,
        now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        midnight(month.after.first, zone) <= now,
        seen.of,
        [_line(seen, *key, tallies[key]) for key in sorted(tallies, key=_as_people_sort)],
        _figures("", "", "", total, is_known=bool(known)),
        days,
    )


def _as_people_sort(key: tuple[str, str]) -> tuple[str, str]:
    return key[0].casefold(), key[1].casefold()


def _day(day: date, states: Counter[str]) -> Day:
    return Day(day.isoformat(), states.total(), states[State.DONE], states[State.FAILED])


def _line(seen: Seen, route: str, value: str, tally: _Tally) -> Line:
    is_known = route in seen.followed or bool(tally.fetched)
    return _figures(escape(route), seen.by.get(route, ""), escape(value), tally, is_known=is_known)


def _figures(route: str, name: str, value: str, tally: _Tally, *, is_known: bool) -> Line:
    done, refused, all_ = tally.states[State.DONE], tally.states[State.FAILED], tally.states.total()
    return Line(
        *(route, name, value, all_, done, refused, all_ - done - refused, tally.files, tally.size_bytes),
        tally.fetched if is_known else None,
        *(quantile(tally.to_delivery, share) for share in (0.5, 0.95)),
        *(quantile(tally.to_fetch, share) for share in (0.5, 0.95)),
    )


def _count(seen: Seen, tallies: _Tallies, first: str, after: str) -> Counter[str]:
    """The arrivals with ids from `first` to `after`, and their deliveries; returns how many are in which state."""
    states: Counter[str] = Counter()
    arrivals = seen.arrivals.filter(id__gte=first, id__lt=after).order_by()
    for rows, value in _by_fields(seen, arrivals, "route", "fields"):
        took = Elapsed("finished_at", "dropped_at", seconds=_DELIVERY_SECONDS)
        counted = rows.annotate(value=value, took=took).values_list("route", "value", "state", "took")
        for route, name, state, seconds, count in counted.annotate(Count("id")):
            tally = tallies.of(route, name)
            tally.states[state] += count
            states[state] += count
            if state == State.DONE and seconds is not None:
                tally.to_delivery[max(0, seconds) * _DELIVERY_SECONDS] += count
    deliveries = seen.deliveries.filter(outcome=Outcome.DELIVERED, arrival__gte=first, arrival__lt=after)
    for rows, value in _by_fields(seen, deliveries.order_by(), "arrival__route", "arrival__fields"):
        _count_files(tallies, rows, value)
    return states


def _count_files(tallies: _Tallies, rows: QuerySet[Any], value: Any) -> None:
    standing = Acknowledgment.objects.filter(delivery=OuterRef("pk"), undone_at__isnull=True).order_by("at")
    took = Elapsed(Subquery(standing.values("at")[:1]), F("arrival__dropped_at"), seconds=_FETCH_SECONDS)
    counted = rows.annotate(value=value, took=took).values_list("arrival__route", "value", "took")
    for route, name, minutes, count, size_bytes in counted.annotate(Count("pk"), Sum("size_bytes")):
        tally = tallies.of(route, name)
        tally.files += count
        tally.size_bytes += int(size_bytes)
        if minutes is not None:
            tally.fetched += count
            tally.to_fetch[max(0, minutes) * _FETCH_SECONDS] += count


def _by_fields(
    seen: Seen, rows: QuerySet[Any], route: str, fields: str
) -> Iterator[tuple[QuerySet[Any], Any]]:
    """The rows in parts: of the routes with the same field, with the expression that gives its value; then all
    others."""
    by: defaultdict[str, list[str]] = defaultdict(list)
    for key, name in seen.by.items():
        if name:
            by[name].append(key)
    for name, keys in by.items():
        yield rows.filter((f"{route}__in", keys)), KeyTextTransform(name, fields)
    told_apart = [key for keys in by.values() for key in keys]
    yield rows.exclude((f"{route}__in", told_apart)), Value("", output_field=CharField())
