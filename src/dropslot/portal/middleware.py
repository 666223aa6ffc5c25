"""What every request goes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from dropslot.access.seen import access_of
from dropslot.access.signing_in import sessions
from dropslot.access.visit_trail import note
from dropslot.api.problems import problem
from dropslot.audit.kinds import Kind
from dropslot.portal import errors

Answer = Callable[[HttpRequest], HttpResponse]
# What must be reached without a second factor: the way out, and what setting one up asks for.
_ALWAYS = frozenset({"account_login", "account_logout", "account_reauthenticate"})


class WithAccess:
    """Gives each request `access`: what its account may see and do (`access.seen`)."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.access = SimpleLazyObject(lambda: access_of(request.user))  # type: ignore[attr-defined]
        response = self._answer(request)
        if response.status_code == 403 and request.access.name:  # type: ignore[attr-defined]
            note(request, Kind.ACCESS_REFUSED, what=f"{request.method} {request.path}"[:300])
        if "Cache-Control" not in response and not request.path.startswith("/static/"):
            response["Cache-Control"] = "no-store"  # what one account sees stays in no cache
        return _whole_page(request, response)


def _whole_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """A live part whose session has ended leads the whole page to the sign-in, which else would appear in the part."""
    login = resolve_url(settings.LOGIN_URL)
    if not getattr(request, "htmx", False) or not response.get("Location", "").startswith(login):
        return response
    following = urlencode({"next": request.htmx.current_url_abs_path or "/"})  # type: ignore[attr-defined]
    return HttpResponseClientRedirect(f"{login}?{following}")


class ValidSessions:
    """Signs a request out whose session has ended: it signed out, was deactivated, or all its sessions were ended."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.user
        request.user = SimpleLazyObject(lambda: _if_valid(request, given))  # type: ignore[assignment]
        return self._answer(request)


def _if_valid(request: HttpRequest, user: Any) -> Any:
    if not user.is_authenticated or sessions.is_valid(request, user):
        return user
    request.session.flush()
    return AnonymousUser()


class SecondFactor:
    """Leads an account whose role needs a second factor to the page that sets one up, before any other page."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        from dropslot.access.signing_in import (
            second_factor,  # needs allauth, which another project may do without
        )

        name = request.resolver_match.view_name if request.resolver_match else ""
        if name.startswith("mfa_") or name in _ALWAYS or not second_factor.is_missing(request):
            return None
        if "/api/" in request.path:
            return problem(403, "A second factor is needed", "Sign in to the portal and set one up")
        return redirect("mfa_index")


class DatabaseAway:
    """Turns an error of the database, or a full disk, into a page that says so."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return errors.passing(request, error)
