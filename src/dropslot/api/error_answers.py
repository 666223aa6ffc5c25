"""From an exception to the answer that it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from dropslot.access.tokens import TokenRefused
from dropslot.acknowledgments.undo import NotAcknowledged
from dropslot.api.problems import BadFilter, Denied, NotSignedIn, NotThere, TooMany, problem
from dropslot.arrivals.listings.cursor_pages import BadCursor
from dropslot.arrivals.listings.queries import NoSuchArrival
from dropslot.arrivals.upkeep.release_held import NotHeld
from dropslot.arrivals.upkeep.retry import BadName, NotFailed
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

log = structlog.get_logger()
Handler = Callable[[HttpRequest, Any], HttpResponse]
DOCS = "`GET /api/v1/openapi.json` describes every address with its parameters"
_NOT_READ = "Send the request again"

_STATUS: dict[type[DropslotError], int] = {
    Denied: 403,
    NotSignedIn: 401,
    TokenRefused: 401,
    NotThere: 404,
    NoSuchArrival: 404,
    NotFailed: 409,
    NotHeld: 409,
    NotAcknowledged: 409,
    BadName: 422,
    BadCursor: 422,
    BadFilter: 422,
    TooMany: 429,
}
_FIELDS: dict[type[DropslotError], str] = {BadName: "name", BadCursor: "cursor"}


def answer_for(error: DropslotError) -> HttpResponse:
    """What one of our own errors says, with its status. One without a status of its own is a conflict (409): what
    was asked for cannot be done now."""
    field = error.field if isinstance(error, BadFilter) else _FIELDS.get(type(error))
    more: dict[str, Any] = {"detail": error.where} if error.where else {}
    if field:
        more["errors"] = [{"field": field, "what": error.what}]
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 409)
    response = problem(status, error.what, error.next_step or DOCS, code=error.code, **more)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="dropslot"'
    if isinstance(error, TooMany):
        response["Retry-After"] = str(error.seconds)
    return response


def _of_ours(request: HttpRequest, error: DropslotError) -> HttpResponse:  # noqa: ARG001
    return answer_for(error)


def _not_signed_in(request: HttpRequest, error: AuthenticationError) -> HttpResponse:  # noqa: ARG001
    return answer_for(
        NotSignedIn("Nobody is signed in", next_step="Send the header `Authorization: Bearer TOKEN`")
    )


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:  # noqa: ARG001
    faults = [{"field": _field(fault["loc"]), "what": fault["msg"]} for fault in error.errors]
    named = ", ".join(dict.fromkeys(fault["field"] for fault in faults))
    return problem(
        422, f"Not valid: {named}", f"Correct what `errors` names; {DOCS}", code="not-valid", errors=faults
    )


def _field(location: tuple[Any, ...]) -> str:
    """`limit`, or `reason` of a body: without the place where ninja found it."""
    parts = [str(part) for part in location[1:] if part not in ("wanted", "given")]
    return escape(".".join(parts)) or "body"


def _of_ninja(request: HttpRequest, error: HttpError) -> HttpResponse:  # noqa: ARG001
    if error.status_code == 400:
        return problem(400, "The body cannot be read", "Send JSON in UTF-8", code="bad-body")
    return problem(error.status_code, error.message, DOCS, code="http")


def _not_there(request: HttpRequest, error: Http404) -> HttpResponse:  # noqa: ARG001
    return unknown(request)


def unknown(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """There is nothing at this address."""
    return problem(404, "There is nothing at this address", DOCS, code="not-there")


def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
    return problem(413, "The body is too large", "Upload files by tus, at /api/v1/tus/", code="too-big")


def _cut_off(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
    return problem(400, "The body ended too soon", _NOT_READ, code="cut-off")


def _database_away(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
    log.warning("The database does not answer", action="database_unavailable", error=str(error))
    return problem(
        503, "The database does not answer", "Try again in a minute. Nothing was changed.", code="database"
    )


def _unforeseen(request: HttpRequest, error: Exception) -> HttpResponse:
    log.exception(
        "A call of the API failed because of a fault in dropslot",
        action="api_failed",
        path=request.path,
        exc_info=error,
    )
    return problem(
        500,
        "A fault in dropslot",
        "Tell an operator the time of this call: the portal's log has the reason",
        code="unforeseen",
    )


HANDLERS: tuple[tuple[type[Exception], Handler], ...] = (
    (Exception, _unforeseen),
    (Http404, _not_there),
    (HttpError, _of_ninja),
    (AuthenticationError, _not_signed_in),
    (ValidationError, _invalid),
    (DropslotError, _of_ours),
    (RequestDataTooBig, _too_big),
    (UnreadablePostError, _cut_off),
    (DatabaseError, _database_away),
    (InterfaceError, _database_away),
)


def explain_all(api: NinjaAPI) -> None:
    """Give every kind of exception its answer."""
    for kind, handler in HANDLERS:
        api.add_exception_handler(kind, handler)
