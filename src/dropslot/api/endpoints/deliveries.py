"""Deliveries: which file went where, under which name and version."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import QuerySet
from ninja import Query, Router

from dropslot.access.roles import Scope
from dropslot.access.seen import Access
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.api.lookup_by_id import not_there
from dropslot.api.request_schemas import WantedDeliveries, filter_of
from dropslot.arrivals.listings import cursor_pages
from dropslot.arrivals.listings.queries import Filter, delivery_rows
from dropslot.arrivals.models import Delivery

router = Router(tags=["deliveries"])
_NUMBER = re.compile("[0-9]{1,18}")


@router.get("", response=response_schemas.Deliveries, **needs(Scope.READ))
def list_deliveries(request: Asked, wanted: Query[WantedDeliveries]) -> dict[str, Any]:
    """List deliveries of finished arrivals, the newest first. `sha256` finds where a file went."""
    access, filter_ = request.access, filter_of(request, wanted)
    return rows_of(access, access.deliveries(), filter_, wanted.cursor, wanted.limit)._asdict()


@router.get("/{id}", response=response_schemas.Delivery, **needs(Scope.READ))
def get_delivery(request: Asked, id: str) -> dict[str, Any]:
    """Show one delivery."""
    number = int(id) if _NUMBER.fullmatch(id) else 0
    found = rows_of(request.access, request.access.deliveries().filter(pk=number), Filter(), "", 1).items
    if not found:
        raise not_there("delivery")
    return found[0]


def rows_of(
    access: Access, seen: QuerySet[Delivery], wanted: Filter, cursor: str, limit: int
) -> cursor_pages.Page:
    """A page of deliveries."""
    found, following = cursor_pages.deliveries(seen, wanted, cursor, limit)
    shown_rows = zip(found, delivery_rows(iter(found)), strict=True)
    return cursor_pages.Page([{"id": each.pk, **access.listed(row)} for each, row in shown_rows], following)
