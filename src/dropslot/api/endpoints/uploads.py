"""What the account sent, and what became of each file."""

from __future__ import annotations

from typing import Any

from ninja import Query, Router

from dropslot.access.roles import Scope
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.api.request_schemas import WantedSent, filter_of
from dropslot.arrivals.listings.sent import sent

router = Router(tags=["uploads"])


@router.get("", response=response_schemas.SentFiles, **needs(Scope.READ, Scope.UPLOAD))
def list_uploads(request: Asked, wanted: Query[WantedSent]) -> dict[str, Any]:
    """List the files that this account sent, the newest first, each with what became of it. An arrival that is not
    done yet is one entry."""
    access, filter_ = request.access, filter_of(request, wanted)
    return sent(access.sent(), access.put(), filter_, wanted.cursor, wanted.limit)._asdict()
