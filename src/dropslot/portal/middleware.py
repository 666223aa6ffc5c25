"""What every request goes through."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from dropslot.access.seen import access_of
from dropslot.portal import errors

Answer = Callable[[HttpRequest], HttpResponse]


class WithAccess:
    """Gives each request `access`: what its account may see and do (`access.seen`)."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.access = SimpleLazyObject(lambda: access_of(request.user))  # type: ignore[attr-defined]
        response = self._answer(request)
        if "Cache-Control" not in response and not request.path.startswith("/static/"):
            response["Cache-Control"] = "no-store"  # what one account sees stays in no cache
        return response


class DatabaseAway:
    """Turns an error of the database, or a full disk, into a page that says so."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return errors.passing(request, error)
