"""Arrivals, History, Pending, Sent but not fetched, Acknowledgments, Log readers, Trail; Patients, Studies, Series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.models import SavedView
from dropslot.access.seen import Access
from dropslot.arrivals.listings.cursor_pages import BadCursor
from dropslot.portal.pages.listing_pages import row_sources
from dropslot.portal.pages.listing_pages.columns import Column, Line, Row, Table, address, line
from dropslot.portal.pages.listing_pages.filtering import Asked
from dropslot.portal.pages.listing_pages.row_sources import Listing
from dropslot.portal.words.states import HELD

_ROWS = 50
View = Callable[[HttpRequest], HttpResponse]


def access_of(request: HttpRequest) -> Access:
    """What the account of a request may see."""
    found: Access = request.access  # type: ignore[attr-defined]
    return found


def account_of(request: HttpRequest) -> Any:
    """The primary key of the account of a request."""
    return request.user.pk


def _view(listing: Listing) -> View:
    def view(request: HttpRequest) -> HttpResponse:
        if not listing.allows(access_of(request)):
            raise Http404
        return render(request, "dropslot/listing.html", context(request, listing))

    view.__name__, view.__doc__ = listing.name, listing.title
    return login_required(require_GET(view))


arrivals = _view(row_sources.ARRIVALS)
history = _view(row_sources.HISTORY)
pending = _view(row_sources.PENDING)
unfetched = _view(row_sources.UNFETCHED)
acknowledgments = _view(row_sources.ACKNOWLEDGMENTS)
log_readers = _view(row_sources.LOG_READERS)
trail = _view(row_sources.TRAIL)
patients = _view(row_sources.PATIENTS)
studies = _view(row_sources.STUDIES)
series = _view(row_sources.SERIES)


def context(request: HttpRequest, listing: Listing) -> dict[str, Any]:
    """For the template of all listings. A cursor that no page has given leads to the first page."""
    asked = Asked(request, listing.fields)
    cursor = request.GET.get("cursor", "")
    try:
        rows, following = listing.rows(asked, cursor, _ROWS)
    except BadCursor:
        cursor, (rows, following) = "", listing.rows(asked, "", _ROWS)
    retry = address("retry_selected") if listing is row_sources.ARRIVALS else ""
    columns = listing.columns_for(access_of(request))
    lines = [_line(access_of(request), listing, columns, row, retry) for row in rows]
    table = Table(
        listing.title,
        columns,
        lines,
        "Nothing matches this filter. Clear it, or search for less." if asked.values else listing.empty,
        newest=asked.address() if cursor else "",
        older=asked.address(cursor=following) if following else "",
        retry=retry if any(each.id for each in lines) else "",
        retries=any(row.get("state") == "failed" for row in rows),
        release=address("release_selected") if any(row.get("held_at") for row in rows) else "",
        has_actions=any(each.action for each in lines),
    )
    views = SavedView.objects.filter(user_id=account_of(request), page=listing.name).order_by("name")
    return {
        "listing": listing,
        "asked": asked,
        "table": table,
        "views": views,
        "is_narrowed": bool(asked.values),
    }


def _line(access: Access, listing: Listing, columns: Sequence[Column], row: Row, retry: str) -> Line:
    more: dict[str, str] = {"name": str(row.get("name") or row.get("stored_as") or "")}
    if row.get("held_at"):
        row = {**row, "state": HELD}
    if retry and row["state"] in ("failed", HELD) and access.may_operate(row["route"]):
        more["id"] = row["id"]
    if (
        listing is row_sources.ACKNOWLEDGMENTS
        and row["state"] == "counts"
        and access.may_operate(row["route"])
    ):
        more |= {"action": address("undo_acknowledgment", row["id"]), "action_label": "Undo"}
    return line(row, columns, **more)
