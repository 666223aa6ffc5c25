"""The monthly report: a page with charts, the same as PDF, and as CSV and JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from dropslot.access.followed import followed
from dropslot.access.seen import Access
from dropslot.access.visit_trail import note
from dropslot.audit.kinds import Kind
from dropslot.core.context import kept
from dropslot.portal.homes.section import Remembered, scope
from dropslot.portal.requests import access_in
from dropslot.reports import charts
from dropslot.reports.captions import MEANINGS
from dropslot.reports.daily_counts import Seen, report
from dropslot.reports.figures import Report
from dropslot.reports.months import Month, month_from, this_month
from dropslot.reports.section import report_by
from dropslot.reports.sheet import sheet

KEEP_SECONDS = 60.0
PDF_SECONDS = 120.0
SHOWN = 500  # lines on the page
_OFFERED = 24  # months in the list


class Offered(NamedTuple):
    """A month that may be chosen."""

    month: Month
    is_shown: bool


@login_required
@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    """One month of what the account sees; this one, unless another is asked for."""
    access = access_in(request)
    month = _month(access, request.GET.get("month", ""))
    found, newest = _report(access, month), this_month(access.config.zone)
    shown = {
        "report": found,
        "lines": found.lines[:SHOWN],
        "more": len(found.lines) - SHOWN,
        "month": month,
        "before": month.before,
        "after": month.after if month < newest else None,
        "offered": list(_offered(newest, month)),
        "days": charts.days(found),
        "days_width": len(found.days) * charts.STEP,
        "days_height": charts.DAYS_HEIGHT,
        "most": max((day.received for day in found.days), default=0),
        "bars": [(bar, list(bar.pieces)) for bar in charts.lines(found)],
        "bar_width": charts.WIDTH,
        "meanings": MEANINGS,
        "sees_arrivals": found.total.received > 0 or not found.total.files,
    }
    return render(request, "dropslot/reports.html", shown)


@login_required
@require_GET
def report_file(request: HttpRequest, month: str, form: str) -> HttpResponse:
    """The report as a file. That it was taken out is an event."""
    if form not in _FORMS:
        raise Http404
    access = access_in(request)
    found = _report(access, _month(access, month))
    content_type, made = _FORMS[form]
    response = HttpResponse(made(found), content_type=content_type)
    response["Content-Disposition"] = str(content_disposition_header(True, f"dropslot-{found.month}.{form}"))
    note(request, Kind.EXPORTED, what=f"report {found.month} as {form}", rows=len(found.lines))
    return response


def _month(access: Access, text: str) -> Month:
    if not text:
        return this_month(access.config.zone)
    try:
        return month_from(text)
    except ValueError as error:
        raise Http404 from error


def _offered(newest: Month, shown: Month) -> Iterator[Offered]:
    found = [newest]
    while len(found) < _OFFERED:
        found.append(found[-1].before)
    for month in found if shown in found else [shown, *found]:
        yield Offered(month, month == shown)


def _report(access: Access, month: Month) -> Report:
    """At most a minute old; while it is counted for one reader, others who see the same wait for it."""
    found: Report = kept(Remembered).get(
        ("report", scope(access), month),
        KEEP_SECONDS,
        lambda: report(month, access.config.zone, _seen(access)),
    )
    return replace(found, of="All routes" if access.sees_all_routes() else f"What {access.name} sees")


def _seen(access: Access) -> Seen:
    by = {
        key: "" if key in access.hiding else report_by(route) for key, route in access.config.routes.items()
    }
    return Seen("", access.arrivals(), access.deliveries(), by, followed(access.config))


def _pdf(found: Report) -> bytes:
    """Made in a process of its own: what draws it is large, and would stay in the portal's memory."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", "dropslot.reports.pdf_report"]
    text = json.dumps(found.as_json()).encode()
    done = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, env=environment, timeout=PDF_SECONDS, check=True
    )
    return done.stdout


def _json(found: Report) -> bytes:
    return json.dumps(found.as_json()).encode()


_FORMS: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "pdf": ("application/pdf", _pdf),
    "csv": ("text/csv; charset=utf-8", lambda found: sheet(found).encode()),
    "json": ("application/json", _json),
}
