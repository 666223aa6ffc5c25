"""The audit trail."""

from __future__ import annotations

from typing import Any

from ninja import Query, Router

from dropslot.access.roles import Scope
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.api.request_schemas import WantedEvents, filter_of
from dropslot.arrivals.listings import cursor_pages

router = Router(tags=["events"])


@router.get("", response=response_schemas.Events, **needs(Scope.READ))
def list_events(request: Asked, wanted: Query[WantedEvents]) -> dict[str, Any]:
    """List the audit trail, the newest event first: of the arrivals that the account sees, or all of it."""
    seen = request.access.events()
    return cursor_pages.events(seen, filter_of(request, wanted), wanted.cursor, wanted.limit)._asdict()
