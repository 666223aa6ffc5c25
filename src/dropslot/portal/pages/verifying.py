"""“Verify now”, for those who see all routes."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from dropslot.access.seen import Access
from dropslot.access.visit_trail import address_of
from dropslot.audit.chain import head_from
from dropslot.keeping.fixity.stored_files import stored
from dropslot.portal.verifying import runs, scheduled, starting
from dropslot.portal.verifying.runs import AlreadyVerifying, Run

_STATES = {
    "ok": ("Good", "success"),
    "faults": ("Faults", "danger"),
    "stopped": ("Stopped", "secondary"),
    "failed": ("Not done", "warning"),
    "interrupted": ("Interrupted", "warning"),
    "": ("Running", "primary"),
}
_STEPS = {
    "starting": "Starting",
    "chain": "The audit trail",
    "files": "The stored files",
    "originals": "Originals that were read without a lease",
}


def _access(request: HttpRequest) -> Access:
    """Its faults name files of all routes; whoever sees only some finds no such page."""
    found: Access = request.access  # type: ignore[attr-defined]
    if not found.sees_all_routes():
        raise Http404
    return found


@login_required
@require_GET
def verify(request: HttpRequest) -> HttpResponse:
    """Start a verification, follow it, and see what earlier ones found."""
    access = _access(request)
    running, shown = runs.is_running(access.config), [_shown(access, run) for run in runs.runs(access.config)]
    return render(
        request,
        "dropslot/verify.html",
        {
            "running": next((one for one in shown if running and one["state"] == "Running"), None),
            "runs": [one for one in shown if one["state"] != "Running"],
            "files": stored().count(),
            **scheduled.facts(access.config),
        },
    )


@login_required
@require_POST
def verify_start(request: HttpRequest) -> HttpResponse:
    """Start one, unless one goes on."""
    access = _access(request)
    fixity, against = request.POST.get("what") == "files", request.POST.get("head", "").strip()
    try:
        if against:
            head_from(against)
        starting.start(
            access.config, by=access.name, address=address_of(request), fixity=fixity, against=against
        )
    except ValueError:
        messages.error(
            request, "This is not a head: it is a number, a colon and 64 digits and letters, 12:9f86d0…."
        )
    except AlreadyVerifying as error:
        messages.warning(request, str(error))
    except OSError as error:
        messages.error(request, f"The verification could not be started: {error.strerror}.")
    return redirect("dropslot:verify")


@login_required
@require_GET
def verify_run(request: HttpRequest, pk: str) -> HttpResponse:
    """One verification: how far it is, or what it found. As a part of a page for the live view."""
    access = _access(request)
    run = _run(access, pk)
    shown = _shown(access, run)
    if not getattr(request, "htmx", False):
        return render(request, "dropslot/verify_run.html", {"run": shown})
    if shown["state"] != "Running":  # the page around it has to change, too
        return HttpResponse(headers={"HX-Redirect": reverse("dropslot:verify_run", args=[pk])})
    return render(request, "dropslot/parts/verify_run.html", {"run": shown})


@login_required
@require_POST
def verify_stop(request: HttpRequest, pk: str) -> HttpResponse:
    """Stop the one that goes on."""
    access = _access(request)
    run = _run(access, pk)
    if not run.outcome:
        starting.stop(access.config, run)
        messages.success(request, "The verification stops within a few seconds.")
    return redirect("dropslot:verify_run", pk)


def _run(access: Access, pk: str) -> Run:
    run = runs.load(access.config, pk)
    if run is None:
        raise Http404
    return run


def _shown(access: Access, run: Run) -> dict[str, Any]:
    outcome = run.outcome
    if not outcome and not (runs.is_running(access.config) and run.id == runs.ids(access.config)[0]):
        latest = runs.load(access.config, run.id)  # it may have ended between the two looks
        run = latest or run
        outcome = run.outcome or "interrupted"
    state, colour = _STATES.get(outcome, _STATES["failed"])
    done, total = _progress(run)
    stamped_seq, _, stamped_at = run.stamped.partition(" ")
    return {
        "stamped_seq": stamped_seq,
        "stamped_at": stamped_at,
        "run": run,
        "state": state,
        "colour": colour,
        "step": _STEPS.get(run.step, run.step),
        "done": done,
        "total": total,
        "percent": min(100, 100 * done // total) if total else 0,
        "seconds_left": _seconds_left(run, done, total),
        "more": max(0, run.found - len(run.faults)),
    }


def _progress(run: Run) -> tuple[int, int]:
    if run.step == "chain":
        return run.receipts + run.events, run.receipts_total + run.events_total
    if run.step == "files":
        # A file costs something besides its bytes.
        return run.size_bytes + 10_000 * run.files, run.total_bytes + 10_000 * run.files_total
    return 0, 0


def _seconds_left(run: Run, done: int, total: int) -> int:
    passed = time.time() - run.step_since
    return int((total - done) * passed / done) + 1 if done and total > done and passed > 2 else 0
