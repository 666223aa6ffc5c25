"""Undo an acknowledgment, with a reason. The acknowledgment stays, and the undoing is an event."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from dropslot.acknowledgments.models import Acknowledgment
from dropslot.acknowledgments.undo import NotAcknowledged, undo
from dropslot.portal.pages.listing_pages.listings import access_of

_LONGEST = 1000


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def undo_acknowledgment(request: HttpRequest, pk: str) -> HttpResponse:
    """Ask for the reason; with it, undo."""
    row = _acknowledgment(request, pk)
    reason = request.POST.get("reason", "").strip()
    mistake = ""
    if request.method == "POST":
        if 0 < len(reason) <= _LONGEST:
            return _undone(request, row, reason)
        mistake = f"Write why, in at most {_LONGEST:,} characters: the trail keeps it."
    context = {"row": row, "reason": reason, "mistake": mistake}
    return render(request, "dropslot/undo_acknowledgment.html", context, status=422 if mistake else 200)


def _undone(request: HttpRequest, row: Acknowledgment, reason: str) -> HttpResponse:
    try:
        undo(row.id, reason, access_of(request).name)
    except NotAcknowledged:
        messages.warning(request, "This acknowledgment was undone already.")
    else:
        messages.success(
            request, "The acknowledgment is undone. The file counts as not fetched, unless it was again."
        )
    return redirect("dropslot:acknowledgments")


def _acknowledgment(request: HttpRequest, pk: str) -> Acknowledgment:
    """One that this account may undo."""
    access = access_of(request)
    rows = access.acknowledgments().select_related("delivery__arrival", "delivery__place")
    row = rows.filter(pk=pk).first()
    if row is None or not access.may_operate(row.delivery.arrival.route):
        raise Http404
    return row
