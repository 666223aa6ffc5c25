"""Acknowledgments: who fetched which delivery, and when."""

from __future__ import annotations

from typing import Any

from ninja import Query, Router

from dropslot.access.roles import Scope
from dropslot.acknowledgments.listings import acknowledgments_page
from dropslot.acknowledgments.undo import undo
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, deny, needs
from dropslot.api.lookup_by_id import one_of, sees_route
from dropslot.api.request_schemas import Wanted, WithReason, filter_of
from dropslot.core.names import escape

router = Router(tags=["acknowledgments"])
_OF_THE_SERVER = ("address", "log", "line")


@router.get("", response=response_schemas.Acknowledgments, **needs(Scope.READ))
def list_acknowledgments(request: Asked, wanted: Query[Wanted]) -> dict[str, Any]:
    """List acknowledgments, undone ones too, the newest first."""
    seen = request.access.acknowledgments()
    page = acknowledgments_page(seen, filter_of(request, wanted), wanted.cursor, wanted.limit)
    for row in page.items:
        if not sees_route(request.access, row["route"]):
            row.update(dict.fromkeys(_OF_THE_SERVER))
    return page._asdict()


@router.post("/{id}/undo", response=response_schemas.Undone, **needs(Scope.OPERATE))
def undo_acknowledgment(request: Asked, id: str, given: WithReason) -> dict[str, Any]:
    """Undo one acknowledgment: it stays in the record, with the reason, and no longer counts."""
    seen = request.access.acknowledgments().select_related("delivery__arrival")
    row = one_of(seen, id, "acknowledgment")
    if not request.access.may_operate(row.delivery.arrival.route):
        deny(request, "Your account may not undo this acknowledgment", "Ask an operator of its route")
    return {"undone": [each.id for each in undo(row.id, escape(given.reason), request.access.name)]}
