"""The routes, as senders need to know them: no secret, and no path on the server."""

from __future__ import annotations

from typing import Any

from ninja import Router

from dropslot.access.roles import Scope
from dropslot.access.seen import Access
from dropslot.api import response_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.config.models import Route
from dropslot.core.templates import Template

router = Router(tags=["routes"])


@router.get("", response=response_schemas.Routes, **needs(Scope.READ, Scope.UPLOAD))
def list_routes(request: Asked) -> dict[str, Any]:
    """List the routes for which the account has a role, in config.yaml's order."""
    access = request.access
    return {"items": [_route(access, route) for route in access.routes()], "next": None}


def _route(access: Access, route: Route) -> dict[str, Any]:
    return {
        "key": route.key,
        "takes": route.takes,
        "complete": route.complete,
        "name_help": route.name_help,
        "repeat": getattr(route, "repeat", "version"),
        "fields": _fields(route),
        "patterns": list(route.select.patterns),
        "may_upload": access.may_upload(route.key),
    }


def _fields(route: Route) -> list[str]:
    """The fields of the name, of the inbox's folders, and those that are looked up, each once."""
    of_name = list(route.name.groupindex) if route.name else []
    of_folders = sorted(Template(route.inbox).fields)
    return list(dict.fromkeys([*of_folders, *of_name, *(lookup.field for lookup in route.lookup)]))
