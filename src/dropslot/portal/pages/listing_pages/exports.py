"""A whole listing as a file: CSV for spreadsheets, JSON for programs. Sent while it is read, page by page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from dropslot.access.visit_trail import note
from dropslot.audit.kinds import Kind
from dropslot.core.showing.spreadsheets import cell
from dropslot.portal.pages.listing_pages.columns import Row
from dropslot.portal.pages.listing_pages.filtering import Asked
from dropslot.portal.pages.listing_pages.listings import access_of
from dropslot.portal.pages.listing_pages.row_sources import ALL, Listing

_AT_ONCE = 500
_BOM = "\ufeff"


@login_required
@require_GET
def export(request: HttpRequest, name: str, form: str) -> HttpResponseBase:
    """All rows of the filter, the newest first. How many were sent is an event, also if the download was cut."""
    listing = ALL.get(name)
    if listing is None or form not in _FORMS or not listing.allows(access_of(request)):
        raise Http404
    content_type, lines_of = _FORMS[form]
    asked = Asked(request, listing.fields)
    response = StreamingHttpResponse(lines_of(_noted(request, listing, asked)), content_type=content_type)
    response["Content-Disposition"] = str(content_disposition_header(True, f"{name}.{form}"))
    return response


def _noted(request: HttpRequest, listing: Listing, asked: Asked) -> Iterator[Row]:
    sent = 0
    try:
        for row in _rows(listing, asked):
            yield row
            sent += 1
    finally:
        what = f"{listing.name}?{asked.query}" if asked.query else listing.name
        note(request, Kind.EXPORTED, what=what, rows=sent)


def _rows(listing: Listing, asked: Asked) -> Iterator[Row]:
    cursor: str | None = ""
    while cursor is not None:
        rows, cursor = listing.rows(asked, cursor, _AT_ONCE)
        yield from map(listing.exported, rows)


def _json(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    writer = csv.writer(_Lines())
    for number, row in enumerate(rows):
        if not number:
            yield _BOM + writer.writerow(list(row))
        yield writer.writerow([cell(value) for value in row.values()])


class _Lines:
    """Gives each line back to the caller of the writer."""

    def write(self, text: str) -> str:
        return text


_FORMS: dict[str, tuple[str, Callable[[Iterable[Row]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "json": ("application/x-ndjson; charset=utf-8", _json),
}
