"""Pages of listings, the newest first, for the portal and the API. A page begins where the one before ended, so each is
found as quickly as the first, and none repeats or leaves out a row when new ones come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from dropslot.arrivals.listings.queries import Filter, arrival_row, delivered, delivery_rows, narrowed
from dropslot.arrivals.models import Arrival, Delivery
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
    rows, following = page_of(narrowed(seen, wanted), cursor, limit)
    return Page([arrival_row(row) for row in rows], following)


def history(seen: QuerySet[Delivery], wanted: Filter, cursor: str = "", limit: int = 50) -> Page:
    """Deliveries of `seen` that match the filter, with the keys of `history --json`, and `id`. Raises BadCursor."""
    found = delivered(seen, wanted).select_related("arrival", "place")
    rows, following = page_of(found, cursor, limit)
    shown = delivery_rows(iter(rows))
    return Page([{"id": row.pk, **keys} for row, keys in zip(rows, shown, strict=True)], following)


def page_of(rows: QuerySet[_Row], cursor: str, limit: int) -> tuple[Sequence[_Row], str | None]:
    """The newest rows by their primary key, which counts upwards, and the cursor of the next ones. Raises BadCursor."""
    if cursor:
        rows = rows.filter(pk__lt=_key(rows.model, cursor))
    limit = max(1, min(limit, AT_MOST))
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else None


def _key(model: type[Model], cursor: str) -> Any:
    try:
        if cursor.isascii() and cursor.isalnum():  # PostgreSQL refuses a text with NUL
            return model._meta.pk.to_python(cursor)
    except ValidationError:
        pass  # letters where rows are counted
    raise BadCursor("This is not a cursor of this listing", next_step="Begin at the first page")
