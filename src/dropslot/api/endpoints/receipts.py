"""Receipts, which the sender of an arrival can read."""

from __future__ import annotations

import json
from typing import Any

from ninja import Router

from dropslot.access.roles import Scope
from dropslot.api import shown
from dropslot.api.finding import arrival_of
from dropslot.api.problems import NotThere
from dropslot.api.signing_in import Asked, needs

router = Router(tags=["receipts"])


@router.get("/{arrival}", response=shown.Receipt, **needs(Scope.READ, Scope.UPLOAD))
def get_receipt(request: Asked, arrival: str) -> dict[str, Any]:
    """Show the signed receipt of an arrival that is done; its sender may read it."""
    return receipt_of(request, arrival)


def receipt_of(request: Asked, arrival: str) -> dict[str, Any]:
    """The receipt of one arrival. Raises NotThere."""
    row = arrival_of(request, arrival)
    signed = request.access.receipts().filter(arrival=row.id).first()
    if signed is None:
        raise NotThere(
            f"Arrival {row.id} is {row.state}; only an arrival that is done has a receipt",
            next_step="Ask again when `GET arrivals/{id}` says that it is done",
        )
    return {
        "arrival": row.id,
        "receipt": json.loads(signed.body),
        "body": signed.body,
        "signature": signed.signature,
    }
