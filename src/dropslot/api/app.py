"""The API: its operations, with one answer for every error."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from dropslot.api import error_answers
from dropslot.api.endpoints import (
    acknowledgments,
    arrivals,
    deliveries,
    dicom,
    events,
    here,
    receipts,
    reidentifying,
    routes,
    uploads,
)
from dropslot.api.problems import problem
from dropslot.audit.receipts import dropslot_version

RULES = (
    "Sign in with `Authorization: Bearer TOKEN`. A token never allows more than its account may do.",
    'Listings answer `{"items": […], "next": CURSOR}`, the newest first. Give `next` as `cursor` for the next page; at'
    " the last page it is null.",
    "Times are UTC, ISO 8601 with `Z`. Names are escaped: what is not printable is written as `\\xNN`.",
    "Errors are `application/problem+json`: `title` says what happened, `next_step` what to do.",
    "Files are sent by tus 1.0 at `tus/`, with the metadata `route`, `filename`, `relativePath` and `batch`.",
)
DESCRIPTION = "\n".join(
    ("Everything that people see in the portal, for programs.", "", *(f"- {rule}" for rule in RULES))
)

api = NinjaAPI(
    title="dropslot", version=dropslot_version(), description=DESCRIPTION, openapi_url=None, docs_url=None
)
error_answers.explain_all(api)
api.add_router("/arrivals", arrivals.router)
api.add_router("/deliveries", deliveries.router)
api.add_router("/dicom", dicom.router)
api.add_router("/events", events.router)
api.add_router("/acknowledgments", acknowledgments.router)
api.add_router("/uploads", uploads.router)
api.add_router("/receipts", receipts.router)
api.add_router("/routes", routes.router)
api.add_router("/reidentify", reidentifying.router)
api.add_router("", here.router)


def patterns() -> list[URLPattern]:
    """The addresses of all operations."""
    found = (pattern for pattern in api.urls[0] if isinstance(pattern, URLPattern))
    return [
        URLPattern(each.pattern, _explained(each.callback), each.default_args, each.name)
        for each in found
        if each.name != "api-root"
    ]


def _explained(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view of an address, which also answers HEAD, and another method with a problem."""

    @csrf_exempt  # who is signed in by a cookie is checked in `authentication`; a token is in no cookie
    @wraps(view)
    def answer(request: HttpRequest, **parts: Any) -> HttpResponse:
        asked = request.method
        request.method = "GET" if asked == "HEAD" else asked
        response: HttpResponse = view(request, **parts)
        request.method = asked
        return _method_unknown(request, response["Allow"]) if response.status_code == 405 else response

    return answer


def _method_unknown(request: HttpRequest, allowed: str) -> HttpResponse:
    response = problem(
        405, f"{request.method} is not possible here", f"Use {allowed}; {error_answers.DOCS}", code="method"
    )
    response["Allow"] = allowed
    return response
