"""The files that an account may open: found, looked at, downloaded."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.payloads.open_payload import NotHere, Payload, opened
from dropslot.access.payloads.payload_responses import SANDBOX, NotAsDelivered, hashed, note_opened
from dropslot.access.roles import SEES_ROUTE
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import Filter, delivery_rows
from dropslot.arrivals.models import Delivery
from dropslot.audit.kinds import Kind
from dropslot.core.names import escape
from dropslot.portal.pages.payloads import payload_of
from dropslot.portal.preview import pdf_page, preview_kinds
from dropslot.portal.preview.preview_kinds import Look
from dropslot.portal.requests import access_in


@login_required
@require_GET
def archive(request: HttpRequest) -> HttpResponse:
    """The files that the account may open, the newest first, found by any part of a name, an id or a SHA-256."""
    search, cursor = request.GET.get("search", "").strip(), request.GET.get("cursor", "")
    try:
        found = cursor_pages.history(request.access.payloads(), Filter(search=search), cursor)  # type: ignore[attr-defined]
    except cursor_pages.BadCursor as error:
        raise Http404 from error
    shown = {
        "rows": [_row(row) for row in found.items],
        "search": search,
        "is_first": not cursor,
        "next": urlencode({"search": search, "cursor": found.next}) if found.next else "",
        "all": urlencode({"search": search}) if search else "",
    }
    return render(request, "dropslot/archive.html", shown)


def _row(said: dict[str, Any]) -> dict[str, Any]:
    folder, _, name = escape(said["stored_as"]).rpartition("/")
    return said | {"shown_name": name, "folder": folder}


@login_required
@require_GET
def open_one(request: HttpRequest, pk: int) -> HttpResponse:
    """One file's page: what is known about it, and a look at it, which the page asks for by itself."""
    return render(request, "dropslot/open.html", {"file": _about(request, payload_of(request, pk))})


def _about(request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
    access = access_in(request)
    (said,) = map(access.listed, delivery_rows(iter([delivery])))
    others = Delivery.objects.filter(place=delivery.place, item=delivery.item, outcome="delivered")
    return _row(said) | {
        "id": delivery.pk,
        "lies_at": _lies_at(delivery) if access.has(SEES_ROUTE) else "",
        "has_proof": said["route"] not in access.hiding,
        "versions": others.count(),
        "named": list(said["fields"].items()),
    }


def _lies_at(delivery: Delivery) -> str:
    return f"{escape(delivery.place.url.rstrip('/'))}/{escape(delivery.stored_as)}"


@login_required
@require_GET
def look(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What is seen of the file, as a part of its page; alone where nothing runs in the browser. A view is an event."""
    delivery = payload_of(request, pk)
    page = request.GET.get("page", "1")
    try:
        payload = opened(delivery)
        seen = _seen(payload, int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1)
    except (NotHere, NotAsDelivered) as error:
        fault = error.what if isinstance(error, NotHere) else "The file is not the one that was delivered"
        seen = {"look": "away", "fault": fault}
    if seen["look"] in (Look.PDF, Look.TEXT):
        note_opened(
            request, Kind.VIEWED, delivery, f"page {seen['page']}" if seen["look"] == Look.PDF else ""
        )
    if getattr(request, "htmx", False):
        return render(request, "dropslot/parts/look.html", {"file": {"id": delivery.pk}, "seen": seen})
    return render(request, "dropslot/open.html", {"file": _about(request, delivery), "seen": seen})


def _seen(payload: Payload, number: int) -> dict[str, Any]:
    kind = preview_kinds.look_of(payload)
    seen: dict[str, Any] = {"look": kind}
    if kind == Look.TEXT:
        beginning = _proved_beginning(payload)
        seen |= {"text": preview_kinds.text_of(beginning), "is_cut": payload.size_bytes > len(beginning)}
    if kind == Look.PDF:
        try:
            page = pdf_page.draw(payload, number)
        except pdf_page.NotDrawn as error:
            return {"look": "undrawn", "fault": str(error)}
        seen |= {"page": number, "pages": page.pages, "width": page.width, "height": page.height}
        seen |= {"image": b64encode(page.png).decode("ascii"), "before": number - 1}
        seen |= {"after": number + 1 if number < page.pages else 0}
    return seen


def _proved_beginning(payload: Payload) -> bytes:
    """What is shown of a text, from a read of all of it that proved it."""
    beginning = b""
    for block in hashed(payload):
        beginning += block[: preview_kinds.TEXT_BYTES - len(beginning)]
    return beginning


@login_required
@require_GET
def picture(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A picture for the page of its file; the answer by itself is a document in which nothing runs. An event."""
    delivery = payload_of(request, pk)
    try:
        payload = opened(delivery)
        if preview_kinds.look_of(payload) != Look.PICTURE:
            raise Http404
        content = b"".join(hashed(payload))
    except (NotHere, NotAsDelivered) as error:
        raise Http404 from error
    note_opened(request, Kind.VIEWED, delivery)
    response = HttpResponse(content, content_type=preview_kinds.picture_type(content))
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = "inline"
    return response
