"""Who uploads: a person who is signed in, or a program with a token.

Looking up an account and its roles costs more than writing a small file. So for a second an account that was just
looked up counts as it was: a role that is taken away ends its uploads a second later.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from dropslot.access.roles import UPLOADS, Scope
from dropslot.access.seen import Access
from dropslot.api.authentication import access_for
from dropslot.api.error_answers import answer_for
from dropslot.api.tus.problems import Problem, Refused
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError

KNOWN_SECONDS = 1.0
_Asked = tuple[str, str]  # token and cookie
_Found = tuple[float, Access, Any]


class Recent:
    """The accounts that this process looked up within the last second."""

    MOST = 1_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[_Asked, _Found] = {}

    def get(self, key: _Asked) -> _Found | None:
        """What was found; None: it has to be looked up."""
        with self._lock:
            found = self._found.get(key)
        return None if found is None or time.monotonic() - found[0] > KNOWN_SECONDS else found

    def remember(self, key: _Asked, found: _Found) -> None:
        """Keep it for a second."""
        with self._lock:
            if len(self._found) >= self.MOST:
                self._found.clear()
            self._found[key] = found


def uploader(request: HttpRequest) -> Access:
    """The access of the request, which may upload somewhere. Raises Problem.

    A token needs the scope `upload`. A session needs the CSRF header, since a browser sends its cookie by itself.
    """
    access, token = _known(request)
    if not access.name:
        raise Problem(
            401,
            "Nobody is signed in",
            "Sign in again, or send a token with the scope `upload` as `Authorization: Bearer …`",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if token is not None and Scope.UPLOAD not in token.scopes:
        raise Problem(403, "This token may not upload", "Make a token with the scope `upload`")
    if token is None and not _has_csrf_header(request):
        raise Problem(
            403,
            "The request does not come from a page of this portal",
            "Load the page again; programs use a token, or send the cookie's value as X-CSRFToken",
        )
    if not access.has(UPLOADS):
        raise Problem(403, "This account may not upload", "Ask an administrator for the role `sender`")
    return access


def _known(request: HttpRequest) -> tuple[Access, Any]:
    """The request's access and token, as they are now or were a moment ago."""
    key = (request.headers.get("Authorization", ""), request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""))
    recent = kept(Recent)
    if (found := recent.get(key)) is None:
        access = _signed_in(request)
        found = (time.monotonic(), access, getattr(request, "token", None))
        if access.name and any(key):
            recent.remember(key, found)
    request.access, request.token = found[1:]  # type: ignore[attr-defined]
    return found[1:]


def _signed_in(request: HttpRequest) -> Access:
    """Of the token, if there is one; else of the session. Raises Problem."""
    if "Authorization" in request.headers:
        try:
            return access_for(request, (Scope.UPLOAD,))
        except DropslotError as error:
            raise Refused(answer_for(error)) from error
    access: Access = request.access  # type: ignore[attr-defined]
    return access


def _has_csrf_header(request: HttpRequest) -> bool:
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return True
    check = CsrfViewMiddleware(_view)
    if "CSRF_COOKIE" not in request.META:
        check.process_request(request)
    return check.process_view(request, _view, (), {}) is None


def _view(_: HttpRequest) -> HttpResponse:
    """Stands for a view that is not exempt."""
    return HttpResponse()
