"""`/health`: 200 if all is in time, 503 if something is late. Monitoring may ask without signing in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from dropslot.access.roles import SEES_ROUTE, Scope
from dropslot.access.seen import Access
from dropslot.api.authentication import access_for
from dropslot.api.error_answers import answer_for
from dropslot.api.lookup_by_id import sees_route
from dropslot.arrivals.space import lateness
from dropslot.arrivals.upkeep.health import Examined
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Everybody is told `ok` or `late`; who sees whole routes, what is late."""
    access: Access = request.access  # type: ignore[attr-defined]
    if "Authorization" in request.headers:
        try:
            access = access_for(request, (Scope.READ,))
        except DropslotError as error:
            return answer_for(error)
    content = told(access)
    return JsonResponse(content, status=200 if content["status"] == "ok" else 503)


def told(access: Access) -> dict[str, Any]:
    """What this account may know: of its own routes, and of the spaces that it sees; of the machines, if it sees all
    routes."""
    found = kept(Examined).get()
    if not access.has(SEES_ROUTE):
        return {"status": found.as_json()["status"]}
    if access.sees_all_routes():
        return found.as_json()
    spaces = {one.key for one in lateness.late(access.spaces(found.space))}
    own = [one for one in found.late if (one.route and sees_route(access, one.route)) or one.key in spaces]
    return replace(found, late=own, space=(), inboxes=(), machines=(), oldest=None).as_json() | {
        "status": found.as_json()["status"]
    }
