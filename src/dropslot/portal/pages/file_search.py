"""The auditor's search: a name, an id or a SHA-256 leads to the life of a file."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from dropslot.access.seen import Access
from dropslot.arrivals.listings.queries import Filter, delivered, narrowed
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.whereabouts import is_id
from dropslot.portal.requests import access_in

_SHOWN = 50
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@login_required
@require_GET
def find(request: HttpRequest) -> HttpResponse:
    """An id opens its arrival; anything else lists what it fits."""
    access = access_in(request)
    text = request.GET.get("q", "").strip()[:500]
    if is_id(text.upper()) and access.arrivals().filter(pk=text.upper()).exists():
        return redirect("dropslot:arrival", text.upper())
    return render(request, "dropslot/find.html", {"q": text, **(_found(access, text) if text else {})})


def _found(access: Access, text: str) -> dict[str, Any]:
    """Deliveries and arrivals, the newest first. Of a whole SHA-256 only deliveries can be meant."""
    is_digest = _SHA256.fullmatch(text) is not None
    rows = access.deliveries().select_related("arrival", "place")
    rows = rows.filter(sha256=text.lower()) if is_digest else delivered(rows, Filter(search=text))
    items = list(rows.order_by("-pk")[: _SHOWN + 1])
    arrivals: list[Arrival] = []
    if not is_digest:
        arrivals = list(narrowed(access.arrivals(), Filter(search=text)).order_by("-pk")[: _SHOWN + 1])
    for row in items:
        row.arrival.name = access.called(row.arrival.route, row.arrival.id, row.arrival.name)
    return {
        "items": items[:_SHOWN],
        "arrivals": arrivals[:_SHOWN],
        "more": max(len(items), len(arrivals)) > _SHOWN,
        "is_digest": is_digest,
    }
