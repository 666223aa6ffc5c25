"""The addresses of uploads as Django's views."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from dropslot.access.section import portal_of
from dropslot.api.tus import problems, tus_headers, tus_requests
from dropslot.api.tus.beforehand import judge_upload
from dropslot.api.tus.bodies import Body
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.tus_requests import Given
from dropslot.api.tus.who import uploader
from dropslot.config import current

_LARGEST_JSON = 64 * 1024 * 1024  # the names of about half a million files
View = Callable[..., HttpResponse]


def _of_tus(view: Callable[..., HttpResponse]) -> View:
    """A view of the protocol: its version, who asks, and problems as answers. `csrf_exempt`, since tokens need no CSRF
    header; sessions are checked by `uploader`."""

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest, **address: str) -> HttpResponse:
        body = Body(request)
        response = problems.or_problem(lambda: _begun(view, request, body, **address))
        if response.status_code >= 400:
            body.discard()
        response["Tus-Resumable"] = tus_headers.VERSION
        response["Cache-Control"] = "no-store"
        return response

    return answer


def _begun(view: View, request: HttpRequest, body: Body, **address: str) -> HttpResponse:
    if (override := request.headers.get("X-HTTP-Method-Override")) and request.method == "POST":
        request.method = override.upper()[:10]
    if request.method == "OPTIONS":
        return _options()
    tus_headers.require_version(request)
    return view(Given.of(request, uploader(request)), body, **address)


def _options() -> HttpResponse:
    response = HttpResponse(status=204)
    response["Tus-Version"] = tus_headers.VERSION
    response["Tus-Extension"] = tus_headers.EXTENSIONS
    response["Tus-Checksum-Algorithm"] = ",".join(tus_headers.CHECKSUMS)
    portal = portal_of(current())
    if portal and portal.max_upload is not None:
        response["Tus-Max-Size"] = str(portal.max_upload)
    return response


def _not_allowed(*methods: str) -> Problem:
    allowed = ", ".join((*methods, "OPTIONS"))
    return Problem(405, "This address has no such method", f"Use {allowed}", headers={"Allow": allowed})


@_of_tus
def collection(given: Given, body: Body) -> HttpResponse:
    """POST begins an upload; OPTIONS says what the server can."""
    if given.request.method != "POST":
        raise _not_allowed("POST")
    return tus_requests.begin(given, body)


@_of_tus
def upload(given: Given, body: Body, ticket: str, part: str) -> HttpResponse:
    """HEAD, PATCH and DELETE of one upload."""
    match given.request.method:
        case "HEAD":
            return tus_requests.offset(given, ticket, part)
        case "PATCH":
            return tus_requests.go_on(given, ticket, part, body)
        case "DELETE":
            return tus_requests.cancel(given, ticket, part)
    raise _not_allowed("HEAD", "PATCH", "DELETE")


def _of_json(*methods: str) -> Callable[[Callable[..., HttpResponse]], View]:
    """A view that is not of the protocol: its body, if any, is a JSON object."""

    def decorate(view: Callable[..., HttpResponse]) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, **address: str) -> HttpResponse:
            body = Body(request)

            def do() -> HttpResponse:
                if request.method not in methods:
                    raise _not_allowed(*methods)
                given = Given.of(request, uploader(request))
                return view(given, _json(body) if request.method == "POST" else {}, **address)

            response = problems.or_problem(do)
            if response.status_code >= 400:
                body.discard()
            return response

        return answer

    return decorate


def _json(body: Body) -> dict[str, Any]:
    if (body.length or 0) > _LARGEST_JSON:
        raise Problem(413, "The list is too long", f"Send at most {_LARGEST_JSON:,} bytes")
    read = bytearray()
    for piece in body.pieces():
        read += piece
        if len(read) > _LARGEST_JSON:
            raise Problem(413, "The list is too long", f"Send at most {_LARGEST_JSON:,} bytes")
    try:
        found = json.loads(bytes(read))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Problem(400, "The body is not a JSON object", "Send one, in UTF-8")
    return found


@_of_json("POST")
def checks(given: Given, wanted: dict[str, Any]) -> HttpResponse:
    """What would be refused, and what was sent before."""
    return JsonResponse(judge_upload.judge(given.access, wanted))


@_of_json("POST")
def finish(given: Given, wanted: dict[str, Any], batch: str) -> HttpResponse:
    """Put a batch into its inbox."""
    done = tus_requests.finish(given, batch, wanted)
    return JsonResponse({"name": done.name, "files": done.files, "size_bytes": done.size_bytes})


@_of_json("GET", "DELETE")
def batch(given: Given, _: dict[str, Any], batch: str) -> HttpResponse:
    """What is there of a batch, or its end (DELETE); the query names its route."""
    route = given.request.GET.get("route", "")
    ticket = given.tickets.of_batch(given.access.name, route, batch)
    if given.request.method == "DELETE":
        return tus_requests.cancel(given, ticket.id)
    return JsonResponse(tus_requests.received(given, ticket))
