"""“Do you know this file?”: by its SHA-256, which the browser computes itself."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.seen import Access
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import Filter
from dropslot.core.names import escape

_LISTED = 20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@login_required
@require_GET
def known(request: HttpRequest) -> HttpResponse:
    """The page; with `sha256` also whether, when and where such a file was delivered, of what the account sees."""
    access: Access = request.access  # type: ignore[attr-defined]
    text = request.GET.get("sha256", "").strip()
    shown: dict[str, Any] = {"sha256": text}
    if text:
        shown |= _answer(access, text)
    if getattr(request, "htmx", False):
        return render(request, "dropslot/parts/known.html", shown)
    return render(request, "dropslot/known.html", shown)


def _answer(access: Access, text: str) -> dict[str, Any]:
    if not _SHA256.fullmatch(text):
        return {"is_wrong": True}
    wanted = Filter(sha256=text.lower())
    found = cursor_pages.history(access.deliveries(), wanted, limit=_LISTED)
    listed = access.payloads().filter(pk__in=[row["id"] for row in found.items])
    openable = set(listed.values_list("pk", flat=True))
    rows = [
        row
        | {
            "arrival_name": access.called(row["route"], row["arrival"], row["name"]),
            "name": escape(row["stored_as"]),
            "place": escape(row["destination"]),
            "opens": row["id"] in openable,
        }
        for row in found.items
    ]
    return {"rows": rows, "is_known": bool(rows), "more": found.next is not None}
