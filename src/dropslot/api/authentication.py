"""Who calls the API: a program with a token, or a browser in which somebody is signed in."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.security import HttpBearer
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from dropslot.access import tokens
from dropslot.access.models import Token
from dropslot.access.roles import Scope
from dropslot.access.seen import Access
from dropslot.access.visit_trail import address_of, note
from dropslot.api.problems import Denied, NotSignedIn, TooMany
from dropslot.audit.kinds import Kind
from dropslot.core.context import kept

SCOPES = "x-scopes"  # of an operation in openapi.json
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Asked(HttpRequest):
    """A request of the API, once it is known who asks. `token` is the program's, if it is one."""

    access: Access
    token: Token | None


class WrongTokens:
    """How many wrong tokens came from each address within a minute; only the latest addresses are kept."""

    AT_MOST = 20
    SECONDS = 60
    ADDRESSES = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def require_few(self, address: str) -> None:
        """Raise TooMany if this address has to wait."""
        began, count = self._counts.get(address, (0.0, 0))
        left = began + self.SECONDS - time.monotonic()
        if count >= self.AT_MOST and left > 0:
            raise TooMany(int(left) + 1)

    def count(self, address: str) -> int:
        """Count one more; returns how many there were within the minute."""
        now = time.monotonic()
        with self._lock:
            began, count = self._counts.pop(address, (now, 0))
            if now - began >= self.SECONDS:
                began, count = now, 0
            self._counts[address] = began, count + 1
            if len(self._counts) > self.ADDRESSES:
                self._counts.popitem(last=False)
        return count + 1


def access_for(request: HttpRequest, scopes: Collection[Scope]) -> Access:
    """What the token in the header `Authorization` may see and do. `request.token` and `request.access` are set.

    Raises TokenRefused for a token that is unknown, expired or revoked, or whose account is not active; Denied if it
    has none of the scopes; TooMany after many wrong ones.
    """
    address = address_of(request)
    kept(WrongTokens).require_few(address)
    try:
        access = tokens.authenticate(request)
    except tokens.TokenRefused as error:
        _count_refusal(request, address, error)
        raise
    if access is None:
        raise NotSignedIn("This is no token", next_step="Send the header `Authorization: Bearer TOKEN`")
    if not any(tokens.allows(request, scope) for scope in scopes):
        wanted = " or ".join(sorted(scopes))
        deny(request, f"This token does not have the scope {wanted}", "Use a token that has it")
    return access


def deny(request: HttpRequest, what: str, next_step: str) -> NoReturn:
    """Raise Denied. The portal keeps each such answer as an event."""
    raise Denied(
        what, where="Nothing was changed" if request.method not in _SAFE else "", next_step=next_step
    )


def _count_refusal(request: HttpRequest, address: str, error: tokens.TokenRefused) -> None:
    if kept(WrongTokens).count(address) <= 1:  # the first of a minute: guesses must not fill the trail
        note(request, Kind.SIGN_IN_REFUSED, name="", why=error.what)


class Bearer(HttpBearer):
    """A program's token."""

    openapi_description = (
        "A token, made on the page Tokens of the portal or by `dropslot addtoken USER --scope read --days 90`."
        " Scopes: `read`, `upload`, `operate`, `reidentify`. It never allows more than its account may do."
    )

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self._scopes = scopes

    def authenticate(self, request: HttpRequest, token: str) -> Access:  # noqa: ARG002 - the whole header counts
        return access_for(request, self._scopes)


class Session(AuthBase):
    """The browser's session. What changes something needs the header X-CSRFToken besides."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "dropslot_session"
    openapi_description = (
        "The session of a browser in which somebody is signed in. Calls that change something also need the header"
        " `X-CSRFToken` with the value of the cookie `dropslot_csrf`."
    )

    def __call__(self, request: HttpRequest) -> Access | None:
        access: Access = request.access  # type: ignore[attr-defined]
        if not access.name or "Authorization" in request.headers:
            return None
        if request.method not in _SAFE and check_csrf(request) is not None:
            deny(request, "The header X-CSRFToken is missing or wrong", "Reload the page, and try again")
        request.token = None  # type: ignore[attr-defined]
        return access


def needs(*scopes: Scope) -> dict[str, Any]:
    """Who may call an operation, for its decorator: a token with one of these scopes, or anybody who is signed in."""
    return {
        "auth": [Bearer(*scopes), Session()],
        "openapi_extra": {SCOPES: [scope.value for scope in scopes]},
    }
