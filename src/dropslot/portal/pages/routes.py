"""The routes as they are configured, in words, with what waits in each."""

from __future__ import annotations

from collections import Counter

from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.roles import SEES_ROUTE
from dropslot.access.seen import Access
from dropslot.core.states import State
from dropslot.portal.requests import access_in
from dropslot.portal.words import route_words, states

_SHOWN = (State.WAITING, State.READY, State.PROCESSING, State.RETRYING, State.FAILED)


@login_required
@require_GET
def routes(request: HttpRequest) -> HttpResponse:
    """Every route of the account's roles."""
    access = access_in(request)
    if not access.has(SEES_ROUTE):
        raise Http404
    counts = _counts(access)
    shown = [
        {
            "route": route,
            "facts": route_words.facts(route),
            "counts": [
                (states.told(state), counts[route.key, state]) for state in _SHOWN if counts[route.key, state]
            ],
        }
        for route in access.routes(SEES_ROUTE)
    ]
    return render(request, "dropslot/routes.html", {"routes": shown})


def _counts(access: Access) -> Counter[tuple[str, str]]:
    rows = access.arrivals().filter(state__in=_SHOWN).order_by()
    found = rows.values_list("route", "state").annotate(Count("id"))
    return Counter({(route, state): number for route, state, number in found})
