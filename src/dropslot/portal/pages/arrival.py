"""One arrival: its state, where it is, what happened to it, what it holds, and what can be done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from dropslot.access import visit_trail
from dropslot.access.roles import SEES_ROUTE
from dropslot.access.seen import Access
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.refusal_reason import ENDED
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.whereabouts import folders_of
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, Receipt
from dropslot.config import Route
from dropslot.core.names import escape
from dropslot.core.states import UNFINISHED, State
from dropslot.keeping.models import LegalHold
from dropslot.portal import live
from dropslot.portal.homes.auditor import told, without_repeats
from dropslot.portal.links import link
from dropslot.portal.requests import access_in
from dropslot.portal.words import route_words, states
from dropslot.portal.words.event_words import FOR_ALL
from dropslot.portal.words.verdicts import verdict

_LIVE = "dropslot/parts/arrival_live.html"
_SECONDS = 3
_EVENTS = 100
_ITEMS = 100
_FIRST_ITEMS = 10
_FETCHES = 100
_SERIES = 50


@login_required
@require_GET
def arrival(request: HttpRequest, pk: str) -> HttpResponse:
    """The whole page."""
    row = arrival_of(request, pk)
    shown = facts(request, row)
    shown["live"] = live.part(request, "arrival", _LIVE, shown, _live_url(row), _SECONDS)
    return render(request, "dropslot/arrival.html", shown)


@login_required
@require_GET
def arrival_live(request: HttpRequest, pk: str) -> HttpResponse:
    """Its changing part, as long as it is not finished."""
    row = arrival_of(request, pk)
    return live.answer(request, "arrival", _LIVE, facts(request, row), _live_url(row), _SECONDS)


def _live_url(row: Arrival) -> str:
    return reverse("dropslot:arrival_live", args=[row.pk]) if row.state in UNFINISHED else ""


@login_required
@require_GET
def arrival_items(request: HttpRequest, pk: str) -> HttpResponse:
    """A page of its items; `after` is the last one of the page before."""
    row = arrival_of(request, pk)
    return render(request, "dropslot/arrival_items.html", {"arrival": row, **_items(request, row)})


@login_required
@require_GET
def arrival_receipt(request: HttpRequest, pk: str, kind: str) -> HttpResponse:
    """The receipt as it was signed (`json`), or its signature (`sig`), as a file to keep."""
    if kind not in ("json", "sig"):
        raise Http404
    row = arrival_of(request, pk)
    receipt = get_object_or_404(Receipt.objects.filter(arrival__in=_only(access_in(request), row)))
    is_body = kind == "json"
    text, suffix = (receipt.body, ".receipt.json") if is_body else (receipt.signature, ".receipt.json.sig")
    visit_trail.note(request, Kind.EXPORTED, row.id, what=f"receipt ({kind})", rows=1)
    response = HttpResponse(text, content_type="application/json" if is_body else "text/plain; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, f"{row.id}{suffix}") or "attachment"
    return response


def arrival_of(request: HttpRequest, pk: str) -> Arrival:
    """The arrival with this id if the account may see it; else 404."""
    return get_object_or_404(access_in(request).arrivals(), pk=pk.upper())


def _only(access: Access, row: Arrival) -> QuerySet[Any]:
    """The id of this one arrival, as far as the account sees it. What belongs to it is looked up by it, since a query
    for all that an account sees reads all ids first."""
    return access.arrivals().filter(pk=row.pk).order_by().values("id")


def facts(request: HttpRequest, row: Arrival) -> dict[str, Any]:
    """What the page shows."""
    access = access_in(request)
    operates = access.operable().filter(pk=row.pk).exists()
    inside = access.has(SEES_ROUTE, row.route)
    route = access.config.routes.get(row.route)
    is_open = row.state == State.FAILED and not row.evidence.keys() & ENDED
    is_unfinished = row.state in UNFINISHED
    is_held = row.held_at is not None
    return {
        "arrival": row,
        "told": states.told(states.state_of(row), row.evidence, row.intent),
        "is_unfinished": is_unfinished,
        "rule": _rule(route, row),
        "checks": list(route_words.checks(route)) if route else [],
        "where": _where(access, row, operates=operates),
        "may_retry": operates and (is_open or row.state == State.RETRYING),
        "may_rename": operates and is_open and not row.in_place,
        "may_dismiss": operates and (is_open or is_held),
        "may_release": operates and is_held,
        "may_hold": operates,
        "hold": LegalHold.objects.filter(arrival=row.pk).first() if inside else None,
        "inside": inside,
        "fields": sorted(row.fields.items()),
        "receipt": None if is_unfinished else _receipt(access, row),
        "fetches": _fetches(access, row, inside=inside),
        "series": list(_series(access, row)),
        "proof": link("arrival_proof", row.pk),
        "zip": link("download_zip"),
        "may_open": access.payloads().filter(arrival=row.pk).exists() if row.state == State.DONE else False,
        **_timeline(request, access, row, inside=inside),
        **(_items(request, row, _FIRST_ITEMS) if row.state == State.DONE else {}),
    }


def _rule(route: Route | None, row: Arrival) -> str:
    """The rule for names in words, if it was refused and no reason has it already."""
    rule = (route.name_help or "") if route and row.state == State.FAILED else ""
    return "" if any(rule in reason for reason in row.reason) else rule


def _receipt(access: Access, row: Arrival) -> dict[str, Any] | None:
    receipt = Receipt.objects.filter(arrival__in=_only(access, row)).first()
    if receipt is None:
        return None
    body: Mapping[str, Any] = json.loads(receipt.body)
    return {
        "body": body,
        "text": json.dumps(body, indent=2, ensure_ascii=False),
        "signature": receipt.signature,
    }


def _timeline(request: HttpRequest, access: Access, row: Arrival, *, inside: bool) -> dict[str, Any]:
    """The newest events, or those before the one that `before` names."""
    rows: QuerySet[Event] = Event.objects.filter(arrival__in=_only(access, row))
    if not inside:
        rows = rows.filter(kind__in=FOR_ALL)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(seq__lt=int(before))
    found = list(rows.order_by("-seq")[: _EVENTS + 1])
    older = found[_EVENTS - 1].seq if len(found) > _EVENTS else None
    return {"events": without_repeats(told(found[:_EVENTS])), "older": older}


def _items(request: HttpRequest, row: Arrival, most: int = _ITEMS) -> dict[str, Any]:
    """Deliveries in the order in which they were recorded, with the page to open each for those who may."""
    after = request.GET.get("after", "")
    rows = access_in(request).deliveries().filter(arrival=row.pk).select_related("place")
    if after.isascii() and after.isdigit() and len(after) < 19:
        rows = rows.filter(pk__gt=int(after))
    found = list(rows.order_by("pk")[: most + 1])
    shown = found[:most]
    may_open = set(
        access_in(request).payloads().filter(pk__in=[each.pk for each in shown]).values_list("pk", flat=True)
    )
    fetched = _first_fetches(shown)
    return {
        "items": [
            {
                "row": each,
                "open": link("open", each.pk) if each.pk in may_open else "",
                "download": link("download", each.pk) if each.pk in may_open else "",
                "fetch": fetched.get(each.pk),
            }
            for each in shown
        ],
        "items_after": shown[-1].pk if len(found) > most else None,
        "items_first": not after,
        "one_place": shown[0].place.url if len({each.place_id for each in shown}) == 1 else "",
    }


def _series(access: Access, row: Arrival) -> Iterator[dict[str, Any]]:
    """The series that it brought images of."""
    seen = access.series().filter(contributions__arrival=row.pk).order_by("pk")
    for each in seen[:_SERIES]:
        yield {"row": each, "verdict": verdict(each.verdict), "url": link("one_series", each.pk)}


def _first_fetches(rows: list[Delivery]) -> dict[int, Acknowledgment]:
    found: dict[int, Acknowledgment] = {}
    standing = Acknowledgment.objects.filter(delivery__in=rows, undone_at__isnull=True)
    for ack in standing.order_by("at", "id"):
        found.setdefault(ack.delivery_id, ack)
    return found


def _fetches(access: Access, row: Arrival, *, inside: bool) -> list[Acknowledgment]:
    rows = Acknowledgment.objects.filter(delivery__in=access.deliveries().filter(arrival=row.pk))
    if not inside:
        rows = rows.filter(undone_at__isnull=True)
    return list(rows.select_related("delivery").order_by("at", "id")[:_FETCHES])


def _where(access: Access, row: Arrival, *, operates: bool) -> dict[str, Any]:
    """Where its bytes are: a sentence for everybody, and the path for those who operate the route."""
    words = {
        State.WAITING: "in the inbox",
        State.READY: "with the service, in its processing folder",
        State.PROCESSING: "with the service, in its processing folder",
        State.RETRYING: "with the service, in its processing folder",
        State.DONE: "delivered; what was sent is kept in the archive",
        State.FAILED: "kept aside in the folder for refused arrivals",
    }[State(row.state)]
    if row.in_place:
        words = "where its sender put it: nothing is moved on this route"
    elif "purged" in row.evidence:
        words = "no longer here: it was removed from the folder for refused arrivals"
    elif row.state == State.DONE and not row.archived_as:
        words = "delivered; what was sent has been removed from the archive"
    paths = _paths(access, row) if operates else []
    return {"words": words, "paths": [(escape(str(path)), os.path.lexists(path)) for path in paths]}


def _paths(access: Access, row: Arrival) -> list[Path]:
    name = os.fsdecode(bytes(row.name_bytes))
    folders = folders_of(access.config, row)
    if row.state == State.DONE and row.archived_as and not row.in_place:
        return [Path(row.archived_as)]
    if folders is None or row.state == State.DONE:
        return [Path(row.inbox) / name] if row.in_place else []
    if row.in_place or row.state == State.WAITING:
        return [folders.inbox / name]
    held, refused = (
        whereabouts.held(folders, row.id, row.epoch) / name,
        whereabouts.refused(folders, row.id) / name,
    )
    if row.state == State.FAILED:
        return [] if "purged" in row.evidence else [refused]
    # After a retry was asked for, it stays in failed until a worker takes it.
    return [held] if held.parent.is_dir() or not refused.parent.is_dir() else [refused]
