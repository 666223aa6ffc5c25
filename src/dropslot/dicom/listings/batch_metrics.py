"""Times, sizes and rates of batches (arrivals), from their rows and events."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from django.db.models import Sum

from dropslot.arrivals.listings.queries import Filter, iso, last, narrowed
from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import State
from dropslot.dicom.models import Contribution

_BEGINS = (Kind.STARTED, Kind.TAKEN_OVER)
_ENDS = (Kind.RETRYING, Kind.GIVEN_BACK, Kind.HELD, Kind.DELIVERED, Kind.REFUSED)
_STEPS = ("wait_seconds", "held_seconds", "work_seconds", "total_seconds")


class Happened(NamedTuple):
    """One event of an arrival."""

    kind: str
    at: datetime


def batches(wanted: Filter) -> Iterator[dict[str, Any]]:
    """Each arrival, the oldest first, with the columns of `export_metrics`. A step's seconds are None where events do
    not tell them."""
    rows = last(narrowed(Arrival.objects.order_by("id"), wanted), wanted.newest)
    for some in chunks(rows, CHUNK):
        yield from _of(list(some))


def _of(rows: Sequence[Arrival]) -> Iterator[dict[str, Any]]:
    ids = [row.id for row in rows]
    events = _events(ids)
    counted = Contribution.objects.filter(arrival__in=ids).order_by().values_list("arrival")
    images = dict(counted.annotate(Sum("instances")))
    for row in rows:
        yield _batch(row, events[row.id], images.get(row.id))


def _events(ids: Sequence[str]) -> Mapping[str, list[Happened]]:
    found: dict[str, list[Happened]] = defaultdict(list)
    kinds = [kind.value for kind in (*_BEGINS, *_ENDS, Kind.RELEASED)]
    rows = Event.objects.filter(arrival__in=ids, kind__in=kinds).order_by("seq")
    for arrival, kind, at in rows.values_list("arrival", "kind", "at"):
        found[arrival].append(Happened(kind, datetime.fromisoformat(at)))
    return found


def _batch(row: Arrival, events: Sequence[Happened], images: int | None) -> dict[str, Any]:
    begun = [each.at for each in events if each.kind in _BEGINS]
    work = _between(events, _BEGINS, _ENDS)
    seconds = {
        "wait_seconds": _seconds(row.received_at, begun[0] if begun else None),
        "held_seconds": _between(events, (Kind.HELD,), (Kind.RELEASED,)),
        "work_seconds": work,
        "total_seconds": _seconds(row.dropped_at, row.finished_at),
    }
    rate = row.size_bytes / 1e6 / work if row.state == State.DONE and row.size_bytes and work else None
    return {
        "id": row.id,
        "route": row.route,
        "name": row.name,
        "status": "held" if row.held_at else row.state,
        "dropped_at": iso(row.dropped_at),
        "received_at": iso(row.received_at),
        "started_at": iso(begun[0]) if begun else None,
        "finished_at": iso(row.finished_at),
        **seconds,
        "attempts": row.attempts,
        "items": row.items,
        "instances": images,
        "size_bytes": row.size_bytes,
        "mb_per_second": None if rate is None else round(rate, 3),
    }


def _between(events: Sequence[Happened], begins: Iterable[str], ends: Iterable[str]) -> float | None:
    """The seconds from each of `begins` to the `ends` that follows at once, together."""
    first, second = set(begins), set(ends)
    relevant = [each for each in events if each.kind in first | second]
    found = [
        (after.at - before.at).total_seconds()
        for before, after in pairwise(relevant)
        if before.kind in first and after.kind in second
    ]
    return round(sum(found), 3) if found else None


def _seconds(begun: datetime, ended: datetime | None) -> float | None:
    return None if ended is None else round(max(0.0, (ended - begun).total_seconds()), 3)


def summary(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each route: how many batches in which status, their sizes, and the median and 95th percentile of times and
    rates of those that are done."""
    by_route: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_route[row["route"]].append(row)
    return [_summary(route, by_route[route]) for route in sorted(by_route)]


def _summary(route: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    done = [row for row in rows if row["status"] == State.DONE]
    statuses = [row["status"] for row in rows]
    found: dict[str, Any] = {
        "route": route,
        "batches": len(rows),
        "done": len(done),
        "failed": statuses.count(State.FAILED),
        "held": statuses.count("held"),
        "unfinished": len(rows) - len(done) - statuses.count(State.FAILED) - statuses.count("held"),
        "instances": sum(row["instances"] or 0 for row in done),
        "size_bytes": sum(row["size_bytes"] or 0 for row in done),
    }
    for name in (*_STEPS, "mb_per_second"):
        values = sorted(row[name] for row in done if row[name] is not None)
        found |= {f"{name}_median": _percentile(values, 50), f"{name}_p95": _percentile(values, 95)}
    return found


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The least of the values that so many percent do not exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else None
