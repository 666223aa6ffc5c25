"""How full disks, servers and studies are."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access.roles import SEES_ROUTE
from dropslot.arrivals.space import lateness, rows, spaces
from dropslot.portal.requests import access_in

_SHOWN = 200


@login_required
@require_GET
def space(request: HttpRequest) -> HttpResponse:
    """The spaces of the account's routes and studies, the fullest first."""
    access = access_in(request)
    if not access.sees_space():
        raise Http404
    search = request.GET.get("search", "").strip()
    seen = [one for one in access.spaces(spaces.look(access.config)) if search.lower() in one.name.lower()]
    shown = [
        {
            "space": one,
            "state": rows.state(one),
            "held": lateness.held(one),
            "left": lateness.time_left(one),
            "folders": one.folders if access.has(SEES_ROUTE) else (),
        }
        for one in seen[:_SHOWN]
    ]
    return render(
        request, "dropslot/space.html", {"shown": shown, "search": search, "more": len(seen) - len(shown)}
    )
