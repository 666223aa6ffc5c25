"""Deliveries that nobody fetched, page by page: kept as a table by a reader of the trail, so that few among many are
found quickly. The table may lag: what it names is compared with the acknowledgments, and what is newer is added."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from django.db.models import Exists, OuterRef, Q, QuerySet

from dropslot.acknowledgments.history_columns import Unacknowledged
from dropslot.acknowledgments.models import Acknowledgment, Unfetched
from dropslot.arrivals.listings.cursor_pages import Page, key_of, limited
from dropslot.arrivals.listings.queries import Filter, delivered, delivery_rows
from dropslot.arrivals.listings.search import clauses, newest_matches
from dropslot.arrivals.listings.search import indexer as search
from dropslot.arrivals.models import Delivery
from dropslot.audit import outbox
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, EventReader
from dropslot.core.showing.quantities import chunks
from dropslot.core.states import Outcome

READER = "unfetched"
_WHOLE = (Kind.DELIVERED, Kind.REBUILT)
KINDS = (*_WHOLE, Kind.ACKNOWLEDGED, Kind.UNACKNOWLEDGED)
_AT_ONCE = 500
_NAMED = 50  # deliveries that are named in one query


def begin() -> None:
    """From now on the table is kept, from the beginning of the trail."""
    EventReader.objects.get_or_create(name=READER, defaults={"seq": 0})


def has_begun() -> bool:
    """Whether the table is kept."""
    return EventReader.objects.filter(name=READER).exists()


def catch_up(at_most: int = 200) -> int:
    """Take in the next events; returns how many there were. After a crash the same come again."""
    if not outbox.unread(READER, KINDS).exists():
        return 0
    return outbox.read(READER, _take, kinds=KINDS, at_most=at_most)


def _take(events: Sequence[Event]) -> None:
    arrivals = {event.arrival for event in events if event.kind in _WHOLE}
    named = [event for event in events if event.kind not in _WHOLE and event.arrival not in arrivals]
    for ids in chunks(arrivals, _AT_ONCE):
        _set(Delivery.objects.filter(arrival_id__in=ids))
    for some in chunks(named, _NAMED):
        _set(Delivery.objects.filter(Q.create([_of(event) for event in some], connector=Q.OR)))


def _of(event: Event) -> Q:
    data = json.loads(event.data)
    return Q(
        arrival_id=event.arrival,
        stored_as=data.get("stored_as", ""),
        place__url=data.get("destination", ""),
    )


def _set(rows: QuerySet[Delivery]) -> None:
    standing = Acknowledgment.objects.filter(delivery=OuterRef("pk"), undone_at__isnull=True)
    found = rows.filter(outcome=Outcome.DELIVERED).annotate(is_fetched=Exists(standing))
    values = found.values_list("id", "arrival__route", "is_fetched").iterator(_AT_ONCE)
    for some in chunks(values, _AT_ONCE):
        Unfetched.objects.filter(delivery__in=[pk for pk, _, is_fetched in some if is_fetched]).delete()
        waiting = [Unfetched(delivery=pk, route=route) for pk, route, is_fetched in some if not is_fetched]
        Unfetched.objects.bulk_create(waiting, ignore_conflicts=True)


def unfetched(
    seen: QuerySet[Delivery], only: Unacknowledged, wanted: Filter, cursor: str = "", limit: int = 50
) -> Page:
    """Deliveries of `seen` that match the filter and that nobody fetched, the newest first, with the keys of
    `history --json`. Raises BadCursor."""
    rows, following = deliveries(seen, only, wanted, cursor, limit)
    return Page(list(delivery_rows(iter(rows))), following)


def deliveries(
    seen: QuerySet[Delivery], only: Unacknowledged, wanted: Filter, cursor: str = "", limit: int = 50
) -> tuple[Sequence[Delivery], str | None]:
    """The same, as models. Raises BadCursor."""
    limit = limited(limit)
    rows = only.narrow(delivered(seen, wanted)).select_related("arrival", "place")
    before = key_of(rows, cursor) if cursor else None
    newest = _newest(seen, rows, only, wanted, before, limit + 1)
    found = list(islice(filter(only.keeps, newest), limit + 1))
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else None


def _newest(
    seen: QuerySet[Delivery],
    rows: QuerySet[Delivery],
    only: Unacknowledged,
    wanted: Filter,
    before: int | None,
    size: int,
) -> Iterator[Delivery]:
    """In pieces of `size`, each of which is found quickly."""
    # What these leave is not few: there the table is quicker.
    narrows = clauses.of_deliveries(seen, replace(wanted, route="", since=None))
    routes = [route for route in only.places if wanted.route in ("", route)]
    known = [*clauses.of_deliveries(seen, wanted), clauses.any_route(routes)]
    while True:
        if narrows and search.has_begun():
            found = newest_matches.newest(newest_matches.OF_DELIVERIES, rows, known, before, size)
        elif has_begun():
            found = _by_table(rows if before is None else rows.filter(pk__lt=before), routes, before, size)
        else:
            found = list((rows if before is None else rows.filter(pk__lt=before)).order_by("-pk")[:size])
        yield from found
        if len(found) < size:
            return
        before = found[-1].pk


def _by_table(
    rows: QuerySet[Delivery], routes: Sequence[str], before: int | None, size: int
) -> list[Delivery]:
    # These first: what the reader takes in meanwhile is in the table by then.
    unread = outbox.unread(READER, (*_WHOLE, Kind.UNACKNOWLEDGED)).order_by().values("arrival")
    fresh = rows.filter(arrival_id__in=unread) if unread.exists() else rows.none()
    found = {row.pk: row for row in fresh.order_by("-pk")[:size]}
    newest: list[Delivery] = []
    for ids in chunks(heapq.merge(*(_ids(route, before) for route in routes), reverse=True), _AT_ONCE):
        newest += rows.filter(pk__in=ids).order_by("-pk")
        if len(newest) >= size:
            break
    found |= {row.pk: row for row in newest}
    return sorted(found.values(), key=lambda row: row.pk, reverse=True)[:size]


def _ids(route: str, before: int | None) -> Iterator[int]:
    """Of this route in the table, the newest first."""
    while True:
        rows = Unfetched.objects.filter(route=route)
        rows = rows if before is None else rows.filter(delivery__lt=before)
        ids = list(rows.order_by("-delivery").values_list("delivery", flat=True)[:_AT_ONCE])
        yield from ids
        if len(ids) < _AT_ONCE:
            return
        before = ids[-1]
