"""Who uploads: a person who is signed in, or a program with a token."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from dropslot.access.roles import UPLOADS, Scope
from dropslot.access.seen import Access
from dropslot.api.tus.problems import Problem


def uploader(request: HttpRequest) -> Access:
    """The access of the request, which may upload somewhere. Raises Problem.

    A token needs the scope `upload`. A session needs the CSRF header, since a browser sends its cookie by itself.
    """
    access: Access = request.access  # type: ignore[attr-defined]
    token = getattr(request, "token", None)
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
