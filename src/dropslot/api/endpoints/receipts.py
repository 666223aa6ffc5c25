"""Receipts, which the sender of an arrival can read."""

from __future__ import annotations

import json
from typing import Any

from ninja import Query, Router

from dropslot.access.roles import Scope
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.api.lookup_by_id import arrival_of
from dropslot.api.problems import NotThere
from dropslot.api.request_schemas import WantedReceipt, require_known
from dropslot.arrivals.outbox_readers.for_senders.summary import signed
from dropslot.audit import signing_key
from dropslot.core.names import escape
from dropslot.core.states import State

router = Router(tags=["receipts"])


@router.get("", response=response_schemas.SenderReceipt, **needs(Scope.READ, Scope.UPLOAD))
def find_receipt(request: Asked, wanted: Query[WantedReceipt]) -> dict[str, Any]:
    """Show the newest signed receipt of an arrival by the name under which it was sent: of one that is done, or
    that was refused, with the outcome of each file."""
    require_known(request, wanted)
    name = escape(wanted.name)
    rows = request.access.arrivals().filter(state__in=(State.DONE, State.FAILED)).order_by("-id")
    row = rows.filter(name=name).first() or rows.filter(evidence__sent_as=name).first()
    if row is None:
        raise NotThere(
            f"There is no receipt of {name} yet, or you may not see it",
            next_step="Ask again later; `GET uploads` shows what became of everything that you sent",
        )
    found = signed(request.access.config, row)
    return {"arrival": row.id, "state": row.state, **found._asdict()}


@router.get("/allowed_signers", response=response_schemas.Signers, **needs(Scope.READ, Scope.UPLOAD))
def get_signers(request: Asked) -> dict[str, Any]:
    """Show the public keys that sign receipts here, in the form of ssh-keygen's `allowed_signers`."""
    keys = request.access.config.keys
    signing_key.receipt_key(keys)
    return {"allowed_signers": (keys / signing_key.ALLOWED_SIGNERS).read_text("utf-8")}


@router.get("/{arrival}", response=response_schemas.Receipt, **needs(Scope.READ, Scope.UPLOAD))
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
