"""Running failed arrivals again, one or many, dismissing one, and sending held ones onward. Only rows change: the
service does the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from dropslot.access.roles import OPERATES
from dropslot.access.seen import Access
from dropslot.arrivals.listings import failures
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep import release_held as upkeep_release
from dropslot.arrivals.upkeep import retry as upkeep
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks, counted
from dropslot.core.states import UNFINISHED
from dropslot.portal import live
from dropslot.portal.requests import access_in

AT_ONCE = 1000
LONGEST_REASON = 1000
SHOWN = 100  # whose ids fit into an address
_LIST, _SECONDS = "dropslot/parts/retried_list.html", 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one arrival of a selection."""

    id: str
    name: str
    is_ready: bool
    why: str = ""


@login_required
@require_POST
def retry(request: HttpRequest, pk: str) -> HttpResponse:
    """Run one arrival again; with `name` under that name."""
    row = get_object_or_404(access_in(request).operable(), pk=pk)
    name = request.POST.get("name", "").strip()
    access = access_in(request)
    try:
        called = upkeep.retry(access.config, row, name=name, by=access.name)
    except DropslotError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{called} is run again. This page shows what becomes of it.")
    return redirect("dropslot:arrival", row.pk)


@login_required
@require_POST
def dismiss(request: HttpRequest, pk: str) -> HttpResponse:
    """Dismiss one arrival: it is never delivered. The reason is recorded."""
    access = access_in(request)
    row = get_object_or_404(access.operable(), pk=pk)
    reason = escape(request.POST.get("reason", "").strip())
    if not reason or len(reason) > LONGEST_REASON:
        messages.error(request, f"Say why, in at most {LONGEST_REASON} characters: the reason is recorded.")
        return redirect("dropslot:arrival", row.pk)
    try:
        upkeep.dismiss(access.config, row, reason=reason, by=access.name)
    except DropslotError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, f"{row.name} is dismissed. Its bytes stay until failed arrivals are purged."
        )
    return redirect("dropslot:arrival", row.pk)


@login_required
@require_POST
def retry_selected(request: HttpRequest) -> HttpResponse:
    """Run the selected arrivals again (`id`, several times); the page says what became of each."""
    ids = list(dict.fromkeys(request.POST.getlist("id")))
    if not ids and access_in(request).has(OPERATES):
        messages.warning(
            request, "Nothing was retried: first tick the failed arrivals that are to run again."
        )
        return redirect("dropslot:arrivals")
    return _answer(request, ids, "The selected arrivals")


@login_required
@require_POST
def retry_reason(request: HttpRequest) -> HttpResponse:
    """Run all failed arrivals again that have one reason: `reason` is the key of its group."""
    access = access_in(request)
    wanted = request.POST.get("reason", "")
    groups = failures.groups(failures.failed(access.operable()))
    group = next((group for group in groups if group.key == wanted), None)
    ids = [row.id for row in group.arrivals] if group else []
    return _answer(
        request, ids, f"Arrivals that failed because: {group.words}" if group else "Arrivals of that reason"
    )


def _answer(request: HttpRequest, ids: Sequence[str], title: str) -> HttpResponse:
    access = access_in(request)
    if not access.has(OPERATES):
        raise Http404
    outcomes = run_again(access, ids[:AT_ONCE])
    ready = [each.id for each in outcomes if each.is_ready]
    facts: dict[str, Any] = {
        "title": title,
        "ready": ready,
        "list": live.part(request, "retried", _LIST, *_again(request, ready[:SHOWN]), _SECONDS),
        "shown": SHOWN,
        "others": [each for each in outcomes if not each.is_ready],
        "rest": ids[AT_ONCE:],
        "at_once": AT_ONCE,
    }
    return render(request, "dropslot/retried.html", facts)


@login_required
@require_POST
def release(request: HttpRequest, pk: str) -> HttpResponse:
    """Send one held arrival onward."""
    access = access_in(request)
    row = get_object_or_404(access.operable(), pk=pk)
    if upkeep_release.release(access.operable().filter(pk=row.pk), by=access.name):
        messages.success(request, f"{row.name} is sent onward. This page shows what becomes of it.")
    else:
        messages.warning(request, f"{row.name} is not held, or no longer: nothing was changed.")
    return redirect("dropslot:arrival", row.pk)


@login_required
@require_POST
def release_selected(request: HttpRequest) -> HttpResponse:
    """Send the selected held arrivals onward (`id`, several times)."""
    access = access_in(request)
    if not access.has(OPERATES):
        raise Http404
    ids = list(dict.fromkeys(request.POST.getlist("id")))[:AT_ONCE]
    released = upkeep_release.release(access.operable().filter(pk__in=ids), by=access.name)
    if released:
        messages.success(request, f"{counted(len(released), 'arrival')} sent onward.")
    if len(released) < len(ids) or not ids:
        messages.warning(
            request, "What is not held was left as it is. Tick held arrivals to send them onward."
        )
    return redirect("dropslot:arrivals")


@login_required
@require_GET
def retried_live(request: HttpRequest) -> HttpResponse:
    """What became of arrivals that were run again (`ids`, with commas), for the page that shows them already."""
    if not access_in(request).has(OPERATES):
        raise Http404
    ids = request.GET.get("ids", "").split(",")[:SHOWN]
    return live.answer(request, "retried", _LIST, *_again(request, ids), _SECONDS)


def _again(request: HttpRequest, ids: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The arrivals, and where to ask for what becomes of them; empty if all have ended."""
    rows = {row.pk: row for row in access_in(request).operable().filter(pk__in=ids)}
    url = f"{reverse('dropslot:retried_live')}?ids={','.join(rows)}"
    is_open = any(row.state in UNFINISHED for row in rows.values())
    return {"rows": [rows[each] for each in ids if each in rows]}, url if is_open else ""


def run_again(access: Access, ids: Iterable[str]) -> list[Outcome]:
    """Retry each; one that cannot be retried does not keep the others from it."""
    outcomes = []
    for some in chunks(ids, CHUNK):
        rows = {row.id: row for row in access.operable().filter(pk__in=some)}
        outcomes += [_one(access, pk, rows.get(pk)) for pk in some]
    return outcomes


def _one(access: Access, pk: str, row: Arrival | None) -> Outcome:
    if row is None:
        return Outcome(escape(pk)[:40], "", False, "There is no such arrival that you may retry.")
    try:
        name = upkeep.retry(access.config, row, by=access.name)
    except DropslotError as error:
        return Outcome(row.id, row.name, False, str(error))
    except DatabaseError:
        return Outcome(row.id, row.name, False, "The database did not answer in time. Retry it again.")
    return Outcome(row.id, name, True)
