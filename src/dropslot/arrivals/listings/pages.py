"""Pages of listings, the newest first, for the portal and the API. A page begins where the one before ended, so each is
found as quickly as the first, and none repeats or leaves out a row when new ones come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from dropslot.arrivals.listings import uploads as auditing
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
    """Deliveries of `seen` that match the filter, with the keys of `history --json`. Raises BadCursor."""
    found = delivered(seen, wanted).select_related("arrival", "place")
    rows, following = page_of(found, cursor, limit)
    return Page(list(delivery_rows(iter(rows))), following)


def uploads(
    seen: QuerySet[Arrival], wanted: Filter, audited: bool | None, cursor: str = "", limit: int = 50
) -> Page:
    """Uploads of `seen` that match the filter, with the keys of `uploads --json`. Raises BadCursor."""
    found = auditing.only(narrowed(seen, wanted), audited=audited)
    rows, following = page_of(found, cursor, limit)
    return Page(list(auditing.upload_rows(iter(rows))), following)


def page_of(rows: QuerySet[_Row], cursor: str, limit: int) -> tuple[Sequence[_Row], str | None]:
    """The newest rows by their primary key, which counts upwards, and the cursor of the next ones. Raises BadCursor."""
    if cursor:
        try:
            rows = rows.filter(pk__lt=rows.model._meta.pk.to_python(cursor))
        except ValidationError as error:
            raise BadCursor(
                "This is not a cursor of this listing", next_step="Begin at the first page"
            ) from error
    limit = max(1, min(limit, AT_MOST))
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else None
