"""Downloads: one delivery, or many as one zip."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from dropslot.access.payloads import payload_responses, zipping
from dropslot.access.payloads.open_payload import NotHere
from dropslot.access.seen import Access
from dropslot.arrivals.listings.queries import Filter, delivered, older
from dropslot.arrivals.models import Delivery
from dropslot.core.names import escape
from dropslot.core.states import Outcome


def payload_of(request: HttpRequest, pk: int) -> Delivery:
    """The delivery with this id if the account may open it; else 404."""
    rows = request.access.payloads().select_related("arrival", "place")  # type: ignore[attr-defined]
    found: Delivery = get_object_or_404(rows, pk=pk)
    return found


@login_required
@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One file, as it was delivered; otherwise a page that says where it is."""
    delivery = payload_of(request, pk)
    try:
        return payload_responses.answer(request, delivery)
    except NotHere as error:
        return not_here(request, delivery, error)


def not_here(request: HttpRequest, delivery: Delivery, error: NotHere) -> HttpResponseBase:
    """The page that says where a file is that the portal cannot give out."""
    shown: dict[str, Any] = {
        "delivery": delivery,
        "name": escape(delivery.stored_as),
        "what": error.what,
        "lies_at": f"{escape(delivery.place.url)}/{escape(delivery.stored_as)}",
        "next_step": error.next_step,
    }
    return render(request, "dropslot/not_here.html", shown, status=404)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def download_zip(request: HttpRequest) -> HttpResponseBase:
    """Those that were selected (`id`, several times), those of one arrival (`arrival`), or those of the listing
    (`search`, `route`; `newest`: of each file the newest version alone), as one zip. POST is for long selections; it
    changes nothing."""
    asked = request.POST if request.method == "POST" else request.GET
    if request.method == "POST" and not asked.getlist("id"):
        messages.warning(request, "Select at least one file.")
        return redirect("dropslot:archive")
    rows = _selected(request, asked)
    arrival = asked.get("arrival", "")
    if arrival:
        rows = rows.filter(arrival=arrival)
    first = rows.select_related("arrival").first()
    if first is None:
        raise Http404
    access: Access = request.access  # type: ignore[attr-defined]
    of = first.arrival
    called = access.called(of.route, of.id, of.name)
    name = called if arrival else f"dropslot-{timezone.localtime():%Y-%m-%d-%H%M}"
    try:
        return zipping.answer(request, rows, f"{name}.zip")
    except zipping.NothingHere:
        return render(request, "dropslot/zip_empty.html", status=404)


def _selected(request: HttpRequest, asked: QueryDict) -> QuerySet[Delivery]:
    rows: QuerySet[Delivery] = request.access.payloads()  # type: ignore[attr-defined]
    rows = delivered(rows, Filter(search=asked.get("search", ""), route=asked.get("route", "")))
    if asked.get("newest"):
        rows = rows.filter(outcome=Outcome.DELIVERED)
        rows = rows.exclude(pk__in=older(rows))
    ids = asked.getlist("id")
    if ids and not all(each.isascii() and each.isdigit() and len(each) < 19 for each in ids):
        raise Http404
    return rows.filter(pk__in=list(map(int, ids))) if ids else rows
