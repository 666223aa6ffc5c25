"""Who a de-identified patient is, for one role."""

from __future__ import annotations

from typing import Any

from ninja import Router

from dropslot.access.roles import REIDENTIFIES, Scope
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, deny, needs
from dropslot.api.request_schemas import Reidentify
from dropslot.core.names import escape
from dropslot.dicom.deidentifying.reidentifying import reidentify

router = Router(tags=["reidentification"])


@router.post("", response=response_schemas.Originals, **needs(Scope.REIDENTIFY))
def reidentify_values(request: Asked, given: Reidentify) -> dict[str, Any]:
    """Show the originals of de-identified values. Each one is an event in the audit trail, with the reason."""
    access = request.access
    routes = [route.key for route in access.routes(REIDENTIFIES)]
    if not routes:
        deny(request, "Your account may not see originals", "Ask for the role reidentifier")
    found = reidentify(access.config, given.values, escape(given.reason), access.name, routes)
    return {"items": [each._asdict() for each in found]}
