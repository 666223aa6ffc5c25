"""The newest rows that match, by the index: it names documents, newest first, until enough of their rows match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from dropslot.arrivals.listings.search import indexer
from dropslot.arrivals.listings.search.documents import SPAN, key_of_id
from dropslot.arrivals.listings.search.index_tables import (
    ARRIVALS,
    DELIVERIES,
    EVENTS,
    Clause,
    Documents,
    Range,
)
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.models import Event
from dropslot.core.states import UNFINISHED

_Row = TypeVar("_Row", bound=Model)
_FIRST, _MOST, _TIMES = 16, 384, 4  # documents that are looked at together: few first, then more
_UNREAD = 500  # arrivals that are named in a query; more are a subquery
Fresh = Callable[[QuerySet[Any]], Iterator[QuerySet[Any]]]


@dataclass(frozen=True)
class Source(Generic[_Row]):
    """One listing's rows: `fresh` gives those that the index may lack, `below` the first key that cannot have rows
    before a cursor. `overlaps`: the rows of one document may lie between those of another."""

    documents: Documents
    fresh: Fresh
    below: Callable[[Any], int]
    overlaps: bool = False


def newest(
    source: Source[_Row], rows: QuerySet[_Row], clauses: Sequence[Clause], cursor: Any, limit: int
) -> list[_Row]:
    """The newest `limit` of `rows`, which are narrowed to what is wanted. `cursor`: the primary key before which they
    end, or None; `clauses`: what all of them have in the index."""
    if cursor is not None:
        rows = rows.filter(pk__lt=cursor)
    rows = rows.order_by("-pk")
    # In this order nothing is missed: what leaves the fresh rows meanwhile is in the index by then.
    found = {row.pk: row for part in source.fresh(rows) for row in part[:limit]}
    below = (1 << 63) - 1 if cursor is None else source.below(cursor)
    for row in _Walk(source, clauses, below).rows(rows, limit):
        found.setdefault(row.pk, row)
    return sorted(found.values(), key=lambda row: row.pk, reverse=True)[:limit]


@dataclass
class _Walk:
    """Through the documents, from the newest to the oldest."""

    source: Source[Any]
    clauses: Sequence[Clause]
    below: int
    end: int | None = None  # where documents overlap: rows from this one on have been looked at
    left: list[Range] = field(default_factory=list)  # their older rows have not

    def rows(self, rows: QuerySet[_Row], limit: int) -> Iterator[_Row]:
        """At least the newest `limit` rows, the newest first."""
        size = _FIRST
        while limit > 0:
            ranges = self.source.documents.find(self.clauses, self.below, size)
            is_last = len(ranges) < size
            found = list(self._next(rows, ranges, is_last)[:limit])
            yield from found
            limit -= len(found)
            if is_last:
                return
            self.below = ranges[-1].key
            size = min(size * _TIMES, _MOST)

    def _next(self, rows: QuerySet[_Row], ranges: list[Range], is_last: bool) -> QuerySet[_Row]:
        """The matching rows of these documents. Where documents overlap, only rows that no further document can
        precede; the others wait for the next call."""
        if not self.source.overlaps:
            return rows.filter(_within(ranges)) if ranges else rows.none()
        looked_at = self.left + ranges
        if self.end is not None:
            rows = rows.filter(pk__lt=self.end)
        if not is_last:
            self.end = ranges[-1].key
            rows = rows.filter(pk__gte=self.end)
            self.left = [each for each in looked_at if each.first < self.end]
        return rows.filter(_within(looked_at)) if looked_at else rows.none()


def _within(ranges: Iterable[Range]) -> Q:
    """Single rows by name: databases are quicker with these than with many ranges."""
    single: set[Any] = set()
    found = Q()
    for _, first, last in ranges:
        if first == last:
            single.add(first)
        elif isinstance(first, int) and last - first < SPAN:
            single.update(range(first, last + 1))
        else:
            found |= Q(pk__range=(first, last))
    return found | Q(pk__in=single) if single else found


def _few(ids: QuerySet[Any], more: Any) -> list[Any]:
    """What `id__in` takes: ids by name, so that a database begins with them and does not read all rows in the order of
    the page; nothing if there are none, `more` if there are many."""
    found = [row[0] for row in ids[: _UNREAD + 1]]
    return [set(found)] if 0 < len(found) <= _UNREAD else [more] if found else []


def _unread() -> list[Any]:
    unread = indexer.unread_arrivals()
    return _few(unread.values_list("arrival"), unread)


def _fresh_arrivals(rows: QuerySet[Arrival]) -> Iterator[QuerySet[Arrival]]:
    unfinished = Arrival.objects.filter(state__in=UNFINISHED).order_by().values("id")
    yield from (rows.filter(id__in=ids) for ids in _few(unfinished.values_list("id"), unfinished))
    yield from (rows.filter(id__in=ids) for ids in _unread())


def _fresh_deliveries(rows: QuerySet[Delivery]) -> Iterator[QuerySet[Delivery]]:
    yield from (rows.filter(arrival_id__in=ids) for ids in _unread())


def _fresh_events(rows: QuerySet[Event]) -> Iterator[QuerySet[Event]]:
    yield rows.filter(seq__gte=indexer.end_of_events())


OF_ARRIVALS: Source[Arrival] = Source(ARRIVALS, _fresh_arrivals, lambda cursor: key_of_id(cursor) + 1)
OF_DELIVERIES: Source[Delivery] = Source(DELIVERIES, _fresh_deliveries, lambda cursor: cursor + SPAN, True)
OF_EVENTS: Source[Event] = Source(EVENTS, _fresh_events, indexer.end_of_block, True)
