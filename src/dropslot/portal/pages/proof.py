"""Proofs: to print, and to download."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from dropslot.access.payloads.payload_responses import as_attachment
from dropslot.access.seen import Access
from dropslot.access.visit_trail import note
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.kinds import Kind
from dropslot.core.states import State
from dropslot.portal.proof import bundle, facts
from dropslot.portal.proof.facts import Proof
from dropslot.portal.proof.seals import LISTED


def _access(request: HttpRequest) -> Access:
    found: Access = request.access  # type: ignore[attr-defined]
    return found


def _of_delivery(request: HttpRequest, pk: int) -> Proof:
    # A proof has the arrival's name, its receipt and its events.
    access = _access(request)
    rows = access.deliveries().exclude(arrival__route__in=access.hiding).select_related("arrival", "place")
    delivery: Delivery = get_object_or_404(rows, pk=pk)
    return facts.of_delivery(access, delivery)


def _of_arrival(request: HttpRequest, pk: str) -> Proof:
    arrival: Arrival = get_object_or_404(_access(request).arrivals(), pk=pk, state=State.DONE)
    return facts.of_arrival(_access(request), arrival)


@login_required
@require_GET
def proof(request: HttpRequest, pk: int) -> HttpResponse:
    """The proof of one file."""
    return _sheet(request, _of_delivery(request, pk), reverse("dropslot:proof_bundle", args=[pk]))


@login_required
@require_GET
def arrival_proof(request: HttpRequest, pk: str) -> HttpResponse:
    """The proof of a finished arrival."""
    return _sheet(request, _of_arrival(request, pk), reverse("dropslot:arrival_proof_bundle", args=[pk]))


def _sheet(request: HttpRequest, found: Proof, bundle_url: str) -> HttpResponse:
    shown = {
        "proof": found,
        "bundle_url": bundle_url,
        "may_open": found.delivery and _access(request).payloads().filter(pk=found.delivery.pk).exists(),
        "listed": LISTED,
        "listed_files": 2 * LISTED,
        "here": request.build_absolute_uri(),
    }
    return render(request, "dropslot/proof.html", shown)


@login_required
@require_GET
def proof_bundle(request: HttpRequest, pk: int) -> HttpResponse:
    """The bundle of one file's proof."""
    return _bundle(request, _of_delivery(request, pk), f"proof-{pk}.zip")


@login_required
@require_GET
def arrival_proof_bundle(request: HttpRequest, pk: str) -> HttpResponse:
    """The bundle of an arrival's proof."""
    return _bundle(request, _of_arrival(request, pk), f"proof-{pk}.zip")


def _bundle(request: HttpRequest, found: Proof, name: str) -> HttpResponse:
    content, events = bundle.made(_access(request), found)
    note(request, Kind.EXPORTED, found.arrival.id, what="proof", rows=events)
    response = HttpResponse(content, content_type="application/zip")
    response["Content-Disposition"] = as_attachment(name)
    return response
