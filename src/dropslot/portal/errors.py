"""What people and programs get in place of a page: an address that is wrong, something they may not do, a database that
is away. None of these needs the database."""

from __future__ import annotations

import errno
import sys

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from dropslot.access.warned import Warned
from dropslot.api.problems import problem
from dropslot.core.context import kept

log = structlog.get_logger()
AWAY = (OperationalError, InterfaceError)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def passing(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """The answer to a fault that heals by itself or with room on the disk; None: it is another fault."""
    if isinstance(error, AWAY):
        _warn("The database does not answer", "database_unavailable", error)
        return database_away(request)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        _warn("The portal cannot write", "portal_unwritable", error)
        return _told(
            request,
            503,
            "The disk of this portal is full",
            "Nothing was changed, and no file is lost. Tell the people who run this portal to make room.",
        )
    return None


def _warn(words: str, action: str, error: BaseException) -> None:
    """Once a minute: while it lasts, each page that looks for news by itself meets it."""
    if kept(Warned).is_due(action):
        log.warning(words, action=action, error=str(error))


def database_away(request: HttpRequest) -> HttpResponse:
    """503, for pages and API."""
    answer: HttpResponse
    if _is_api(request):
        answer = problem(503, "The database does not answer", "Try again in a minute. Nothing was changed.")
    else:
        answer = _page("dropslot/database_away.html", 503)
    answer["Retry-After"] = "60"
    answer["Cache-Control"] = "no-store"
    return answer


def bad_request(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    return _told(
        request, 400, "This request cannot be understood", "Go back, load the page again, and try once more."
    )


def forbidden(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    return _told(
        request,
        403,
        "You may not do this",
        "If you need it for your work, ask an administrator for the role.",
    )


def csrf_failure(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    return _told(
        request,
        403,
        "This form is too old",
        "Nothing was changed. You may have signed in or out in another window: go back, load the page again, and try"
        " once more.",
    )


def not_found(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    return _told(
        request,
        404,
        "There is nothing here",
        "The address may be mistyped, or what was here may be for other accounts than yours.",
    )


def failed(request: HttpRequest) -> HttpResponse:
    """Also for a database that went away outside of a view, as in the look-up of the account."""
    return passing(request, sys.exc_info()[1]) or _told(
        request,
        500,
        "This did not work",
        "The fault is in the portal's log. No file is lost: deliveries do not depend on the portal.",
    )


def _told(request: HttpRequest, status: int, title: str, words: str) -> HttpResponse:
    if _is_api(request):
        return problem(status, title, words)
    answer = _with_menu(request, status, title, words) or _page(
        "dropslot/error.html", status, title=title, words=words
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _with_menu(request: HttpRequest, status: int, title: str, words: str) -> HttpResponse | None:
    """For somebody who only went wrong; None where the menu, which needs the database, may not be had."""
    if status not in (403, 404):
        return None
    try:
        return render(request, "dropslot/error.html", {"title": title, "words": words}, status=status)
    except AWAY:
        return None


def _page(template: str, status: int, **content: str) -> HttpResponse:
    # Without the request: what every page shows of it needs the database.
    return HttpResponse(render_to_string(template, content), status=status)


def _is_api(request: HttpRequest) -> bool:
    return "/api/" in request.path
