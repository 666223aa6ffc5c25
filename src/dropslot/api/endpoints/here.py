"""Who calls, whether the watcher runs, and whether all is in time."""

from __future__ import annotations

from typing import Any

from ninja import Router

from dropslot.access.models import Grant
from dropslot.access.roles import Scope
from dropslot.api import response_schemas, shown_service
from dropslot.api.authentication import Asked, needs
from dropslot.api.health import told
from dropslot.arrivals import candidates
from dropslot.arrivals.listings.queries import iso
from dropslot.running import daemon

router = Router()


@router.get("/me", response=response_schemas.Me, tags=["account"], **needs(*Scope))
def get_me(request: Asked) -> dict[str, Any]:
    """Say who calls, with the account's roles and the token's scopes."""
    token = request.token
    return {
        "name": request.access.name,
        "roles": [_grant(grant) for grant in request.access.grants],
        "scopes": list(token.scopes if token else Scope),
        "token": token.id if token else None,
        "expires_at": iso(token.expires_at) if token else None,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    names = ("route", "folder", "field", "value")
    return {"role": grant.role, **{name: getattr(grant, name) or None for name in names}}


@router.get("/watcher", response=shown_service.Watcher, tags=["service"], **needs(Scope.READ))
def get_watcher(request: Asked) -> dict[str, Any]:
    """Say whether the watcher is running. Paths and pid are for those who see all routes."""
    access = request.access
    found = daemon.as_json(access.config, daemon.status(access.config))
    if access.sees_all_routes():
        return found | {"inboxes": [one.as_json() for one in candidates.inboxes(access.config)]}
    routes = [{"route": route.key, "inbox": None} for route in access.routes()]
    return found | {"pid": None, "pid_file": None, "routes": routes, "inboxes": None}


@router.get("/health", response=shown_service.Health, tags=["service"], **needs(Scope.READ))
def get_health(request: Asked) -> dict[str, Any]:
    """Say what is late. The address `/health` says the same with status 503 if anything is."""
    return told(request.access)
