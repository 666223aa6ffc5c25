"""Arrivals: listed, looked at, retried, sent onward, dismissed."""

from __future__ import annotations

from typing import Any

from ninja import Body, Query, Router

from dropslot.access.roles import Scope
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, deny, needs
from dropslot.api.endpoints.deliveries import rows_of
from dropslot.api.endpoints.receipts import receipt_of
from dropslot.api.lookup_by_id import arrival_of, sees_route
from dropslot.api.request_schemas import Retry, WantedArrivals, WantedEvents, WithReason, filter_of
from dropslot.api.where import where_is
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import Filter, arrival_row
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep.release_held import release_one
from dropslot.arrivals.upkeep.retry import READY, dismiss, retry
from dropslot.core.names import escape

router = Router(tags=["arrivals"])
_FIRST = 100  # deliveries that are shown with their arrival


@router.get("", response=response_schemas.Arrivals, **needs(Scope.READ))
def list_arrivals(request: Asked, wanted: Query[WantedArrivals]) -> dict[str, Any]:
    """List arrivals, the newest first. A sender sees its own, a study runner those of the study."""
    seen = request.access.arrivals()
    return cursor_pages.arrivals(seen, filter_of(request, wanted), wanted.cursor, wanted.limit)._asdict()


@router.get("/{id}", response=response_schemas.ArrivalDetail, **needs(Scope.READ))
def get_arrival(request: Asked, id: str) -> dict[str, Any]:
    """Show one arrival: its state with the reasons, where it is now, and its first deliveries."""
    return _detail(request, arrival_of(request, id))


@router.get("/{id}/events", response=response_schemas.Events, **needs(Scope.READ))
def list_events_of_arrival(request: Asked, id: str, wanted: Query[WantedEvents]) -> dict[str, Any]:
    """List what happened to one arrival, the newest event first."""
    row = arrival_of(request, id)
    seen = request.access.events().filter(arrival=row.id)
    return cursor_pages.events(seen, filter_of(request, wanted), wanted.cursor, wanted.limit)._asdict()


@router.get(
    "/{id}/receipt", response=response_schemas.Receipt, tags=["receipts"], **needs(Scope.READ, Scope.UPLOAD)
)
def get_receipt_of_arrival(request: Asked, id: str) -> dict[str, Any]:
    """Show the signed receipt of an arrival that is done."""
    return receipt_of(request, id)


@router.post("/{id}/retry", response=response_schemas.Retried, **needs(Scope.OPERATE))
def retry_arrival(request: Asked, id: str, given: Body[Retry | None] = None) -> dict[str, Any]:
    """Run a failed arrival again, or a retrying one at once. The service does it, or the next `drain`."""
    row = _to_operate(request, id)
    name = given.name if given else ""
    ran_as = retry(request.access.config, row, name=name, by=request.access.name)
    return {"id": row.id, "name": ran_as, "what": READY}


@router.post("/{id}/release", response=response_schemas.Arrival, **needs(Scope.OPERATE))
def release_arrival(request: Asked, id: str) -> dict[str, Any]:
    """Send a held arrival onward. The service does it, or the next `drain`."""
    row = _to_operate(request, id)
    release_one(row, by=request.access.name)
    row.refresh_from_db()
    return arrival_row(row)


@router.post("/{id}/dismiss", response=response_schemas.Arrival, **needs(Scope.OPERATE))
def dismiss_arrival(request: Asked, id: str, given: WithReason) -> dict[str, Any]:
    """End a failed arrival for good; it stays in failed until a purge. The reason is recorded."""
    row = _to_operate(request, id)
    dismiss(request.access.config, row, reason=escape(given.reason), by=request.access.name)
    row.refresh_from_db()
    return arrival_row(row)


def _to_operate(request: Asked, id: str) -> Arrival:
    """The arrival, which is to be changed. Raises NotThere and Denied."""
    row = arrival_of(request, id)
    if not request.access.operable().filter(pk=row.pk).exists():
        deny(request, "Your account may not change this arrival", "Ask an operator of its route")
    return row


def _detail(request: Asked, row: Arrival) -> dict[str, Any]:
    access = request.access
    deliveries = access.deliveries().filter(arrival=row)
    return arrival_row(row) | {
        "location": row.location,
        "fields": row.fields,
        "where": where_is(access.config, row, with_path=sees_route(access, row.route)),
        "has_receipt": access.receipts().filter(arrival=row.id).exists(),
        "deliveries": rows_of(access, deliveries, Filter(), "", _FIRST)._asdict(),
    }
