"""The technicians' check: uploads that nobody has audited yet."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from dropslot.access.roles import AUDITS, OPERATES
from dropslot.arrivals.listings import cursor_pages, uploads
from dropslot.arrivals.listings.queries import Filter
from dropslot.core.showing.quantities import counted
from dropslot.portal.requests import access_in

ROLES = AUDITS | OPERATES
_SHOWN = {"unaudited": False, "audited": True, "all": None}
_AT_ONCE = 500


@login_required
@require_GET
def check(request: HttpRequest) -> HttpResponse:
    """Uploads, the newest first; those that are not audited unless `show` says otherwise."""
    access = access_in(request)
    if not access.has(ROLES):
        raise Http404
    show = request.GET.get("show", "unaudited")
    show = show if show in _SHOWN else "unaudited"
    wanted = Filter(search=request.GET.get("search", "").strip()[:200], route=request.GET.get("route", ""))
    try:
        page = cursor_pages.uploads(access.auditable(), wanted, _SHOWN[show], request.GET.get("after", ""))
    except cursor_pages.BadCursor as error:
        raise Http404 from error
    asked = {"show": show, "search": wanted.search, "route": wanted.route}
    return render(
        request,
        "dropslot/check.html",
        {
            "page": page,
            "show": show,
            "wanted": wanted,
            "routes": access.routes(ROLES),
            "next": f"?{urlencode(asked | {'after': page.next})}" if page.next else "",
            "here": request.get_full_path(),
        },
    )


@login_required
@require_POST
def flag(request: HttpRequest) -> HttpResponse:
    """Flag the selected uploads as audited (`id`, several times), with a note; or withdraw their audits."""
    access = access_in(request)
    if not access.has(ROLES):
        raise Http404
    ids = request.POST.getlist("id")[:_AT_ONCE]
    note = request.POST.get("note", "")
    withdraws = request.POST.get("do") == "withdraw"
    done, faults = 0, []
    for row in access.auditable().filter(pk__in=ids):
        try:
            (uploads.withdraw if withdraws else uploads.audit)(row, by=access.name, note=note)
        except uploads.BadAudit as error:
            faults.append(str(error))
        else:
            done += 1
    _say(request, done, faults, withdraws=withdraws)
    return HttpResponseRedirect(_back(request))


def _say(request: HttpRequest, done: int, faults: list[str], *, withdraws: bool) -> None:
    for fault in faults[:5]:
        messages.error(request, fault)
    if done:
        what = "The audit was withdrawn for" if withdraws else "Recorded as audited:"
        messages.success(request, f"{what} {counted(done, 'upload')}.")
    elif not faults:
        messages.warning(request, "Select at least one upload first.")


def _back(request: HttpRequest) -> str:
    """To the same filter; never to another page."""
    page = reverse("dropslot:check")
    query = request.POST.get("back", "").partition("?")[2]
    return f"{page}?{query}" if query and query.isascii() and query.isprintable() else page
