"""Pages of listings, the newest first, for the portal and the API. A page begins where the one before ended, so each is
found as quickly as the first, and none repeats or leaves out a row when new ones come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Exists, Model, OuterRef, QuerySet

from dropslot.arrivals.listings import pending as waiting
from dropslot.arrivals.listings import uploads as auditing
from dropslot.arrivals.listings.queries import (
    Filter,
    arrival_row,
    delivered,
    delivery_rows,
    narrowed,
)
from dropslot.arrivals.listings.search import clauses, indexer, newest_matches
from dropslot.arrivals.listings.search.index_tables import Clause
from dropslot.arrivals.listings.search.newest_matches import Source
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import event_search
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.errors import DropslotError

AT_MOST = 500
_Row = TypeVar("_Row", bound=Model)


class BadCursor(DropslotError):
    """A cursor that no page has given."""

    code = "bad-cursor"


class Page(NamedTuple):
    """Rows, and the cursor of the next page; None: these are the last."""

    items: list[dict[str, Any]]
    next: str | None


def arrivals(seen: QuerySet[Arrival], wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """Arrivals of `seen` that match the filter, with the keys of `arrivals --json`. Raises BadCursor."""
    known = clauses.of_arrivals(seen, wanted)
    rows, following = _page(newest_matches.OF_ARRIVALS, narrowed(seen, wanted), known, cursor, limit)
    return Page([arrival_row(row) for row in rows], following)


def history(seen: QuerySet[Delivery], wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """Deliveries of `seen` that match the filter, with the keys of `history --json`, and `id`. Raises BadCursor."""
    rows, following = deliveries(seen, wanted, cursor, limit)
    shown = delivery_rows(iter(rows))
    return Page([{"id": row.pk, **keys} for row, keys in zip(rows, shown, strict=True)], following)


def deliveries(
    seen: QuerySet[Delivery], wanted: Filter, cursor: str = "", limit: int = 50
) -> tuple[Sequence[Delivery], str | None]:
    """The same, as models. Raises BadCursor."""
    known = clauses.of_deliveries(seen, wanted)
    found = delivered(seen, wanted).select_related("arrival", "place")
    return _page(newest_matches.OF_DELIVERIES, found, known, cursor, limit)


def events(seen: QuerySet[Event], wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """Events of `seen` that match the filter, with the keys of `events --json`. Raises BadCursor."""
    found = event_search.narrowed(
        seen, wanted.arrival, wanted.kind, wanted.since, wanted.search, wanted.until
    )
    if wanted.route or wanted.state:
        of = narrowed(Arrival.objects.order_by(), Filter(route=wanted.route, state=wanted.state))
        found = found.filter(Exists(of.filter(id=OuterRef("arrival"))))
    if wanted.arrival:  # its own index is quicker
        rows, following = page_of(found, cursor, limit)
    else:
        rows, following = _page(
            newest_matches.OF_EVENTS, found, clauses.of_events(seen, wanted), cursor, limit
        )
    return Page([event_search.row(row) for row in rows], following)


def pending(config: Config, seen: Seen, wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """What waits and may be seen, with the keys of `pending --json`; what came last is first. Raises BadCursor."""
    rows = sorted(seen(waiting.pending(config, wanted)), key=lambda row: row["since"] or "", reverse=True)
    start = _to_number(cursor) if cursor else 0
    limit = limited(limit)
    more = str(start + limit) if len(rows) > start + limit else None
    return Page(rows[start : start + limit], more)


# Those of the rows of `pending` that an account sees.
Seen = Callable[[Iterator[dict[str, Any]]], Iterator[dict[str, Any]]]


def _to_number(cursor: str) -> int:
    if not cursor.isdecimal() or len(cursor) > 18:
        raise _bad_cursor()
    return int(cursor)


def _page(
    source: Source[_Row], rows: QuerySet[_Row], known: Sequence[Clause], cursor: str, limit: int
) -> tuple[Sequence[_Row], str | None]:
    """As `page_of`, by the index if there is one and it can narrow."""
    if not known:
        return _cut(list(_all_newest(rows, cursor, limited(limit) + 1)), limited(limit))
    if not indexer.has_begun():
        return page_of(rows, cursor, limit)
    limit = limited(limit)
    before = key_of(rows, cursor) if cursor else None
    return _cut(newest_matches.newest(source, rows, known, before, limit + 1), limit)


def uploads(
    seen: QuerySet[Arrival], wanted: Filter, audited: bool | None, cursor: str = "", limit: int = 50
) -> Page:
    """Uploads of `seen` that match the filter, with the keys of `uploads --json`. Raises BadCursor."""
    found = auditing.only(narrowed(seen, wanted), audited=audited)
    rows, following = page_of(found, cursor, limit)
    return Page(list(auditing.upload_rows(iter(rows))), following)


def _all_newest(rows: QuerySet[_Row], cursor: str, count: int) -> list[_Row]:
    """The newest of rows that are nearly all of their table. Keys first: a database that joins another table may
    otherwise read everything, and then sort."""
    found: list[_Row] = []
    keys = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True)
    before = key_of(rows, cursor) if cursor else None
    while len(found) < count:
        some = list((keys if before is None else keys.filter(pk__lt=before))[: 4 * count])
        found += rows.filter(pk__in=some).order_by("-pk")
        if len(some) < 4 * count:
            break
        before = some[-1]
    return found[:count]


def page_of(rows: QuerySet[_Row], cursor: str, limit: int) -> tuple[Sequence[_Row], str | None]:
    """The newest rows by their primary key, which counts upwards, and the cursor of the next ones. Raises BadCursor."""
    if cursor:
        rows = rows.filter(pk__lt=key_of(rows, cursor))
    limit = limited(limit)
    return _cut(list(rows.order_by("-pk")[: limit + 1]), limit)


def _cut(found: Sequence[_Row], limit: int) -> tuple[Sequence[_Row], str | None]:
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else None


def limited(limit: int) -> int:
    """How many rows a page has at most."""
    return max(1, min(limit, AT_MOST))


def key_of(rows: QuerySet[_Row], cursor: str) -> Any:
    """The primary key that a cursor is. Raises BadCursor."""
    key = rows.model._meta.pk
    if not (cursor.isascii() and cursor.isalnum()):
        raise _bad_cursor()
    try:
        found = key.to_python(cursor)
        key.run_validators(found)
    except ValidationError as error:
        raise _bad_cursor() from error
    return found


def _bad_cursor() -> BadCursor:
    return BadCursor("This is not a cursor of this listing", next_step="Begin at the first page")
