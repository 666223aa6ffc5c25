"""Pages of events and acknowledgments."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from dropslot.acknowledgments import listings
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.listings.pages import Page, page_of
from dropslot.arrivals.listings.queries import Filter, ids
from dropslot.audit import event_search
from dropslot.audit.models import Event
from dropslot.core.asked import searchable


def events(seen: QuerySet[Event], wanted: Filter, kind: str = "", cursor: str = "", limit: int = 50) -> Page:
    """Events of `seen`, the newest first, with the keys of `events --json`. Raises BadCursor."""
    found = event_search.narrowed(seen, "", searchable(kind), wanted.since, wanted.search)
    if wanted.state or wanted.route:
        found = found.filter(arrival__in=ids(Filter(state=wanted.state, route=wanted.route)))
    rows, following = page_of(found, cursor, limit)
    return Page([_event(row) for row in rows], following)


def _event(row: Event) -> dict[str, Any]:
    names = ("seq", "at", "kind", "arrival", "hash")
    return {**{name: getattr(row, name) for name in names}, "data": json.loads(row.data)}


def acknowledgments(
    seen: QuerySet[Acknowledgment], wanted: Filter, cursor: str = "", limit: int = 50
) -> Page:
    """Acknowledgments of `seen`, the newest first, with the keys of `acknowledgments --json`. Raises BadCursor."""
    found = listings.narrowed(seen, wanted)
    rows, following = page_of(found, cursor, limit)
    return Page([listings.acknowledgment(row) for row in rows], following)
