"""Tokens: how programs sign in to the API.

A token is `ds_` and 256 random bits. It is shown once; only its SHA-256 is kept. The digest is what is looked up, so
how long a wrong token takes tells nothing about a right one.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from ulid import ULID

from dropslot.access.models import Grant, Token
from dropslot.access.roles import OPERATES, REIDENTIFIES, UPLOADS, Role, Scope
from dropslot.access.seen import Access, access_of
from dropslot.access.visit_trail import of_command, record_rights
from dropslot.core.errors import DropslotError

PREFIX = "ds_"
LONGEST_DAYS = 3650
_NEEDED = {
    Scope.READ: frozenset(Role),
    Scope.UPLOAD: UPLOADS,
    Scope.OPERATE: OPERATES,
    Scope.REIDENTIFY: REIDENTIFIES,
}
_LONGEST = 200  # characters; a longer one is no token of ours and is not even hashed


class BadToken(DropslotError):
    """A token that cannot be made as it is asked for; nothing was changed."""

    code = "bad-token"


class TokenRefused(DropslotError):
    """A request came with a token that does not sign it in; the API answers 401."""

    code = "token-refused"


class UnknownToken(TokenRefused):
    """It was never made, or the account is gone or deactivated."""

    code = "token-unknown"


class ExpiredToken(TokenRefused):
    """Its days are over."""

    code = "token-expired"


class RevokedToken(TokenRefused):
    """Somebody has revoked it."""

    code = "token-revoked"


class New(NamedTuple):
    """A token that was just made; `text` is what the program sends, and cannot be had again."""

    token: Token
    text: str


def make(
    user: Any, scopes: Collection[str], days: int, name: str = "", who: Mapping[str, str] | None = None
) -> New:
    """A new token of an account, valid for so many days. `who` asks for it, as in `accounts.add`. Raises BadToken, also
    for a scope that none of the account's roles can use."""
    if not 1 <= days <= LONGEST_DAYS:
        raise BadToken(f"{days} is not a number of days", next_step=f"Take 1 to {LONGEST_DAYS}")
    _require_use(user, _scopes(scopes))
    text = PREFIX + secrets.token_urlsafe(32)
    now = timezone.now()
    token = Token(id=str(ULID()), user=user, name=name[:100], digest=_digest(text), scopes=_scopes(scopes))
    token.made_at, token.expires_at = now, now + timedelta(days=days)
    with transaction.atomic():
        token.save(force_insert=True)
        what = f"token {token.id} made: {', '.join(token.scopes)}, until {token.expires_at:%Y-%m-%d}"
        record_rights(who or of_command(), user.get_username(), what)
    return New(token, text)


def revoke(token: Token, who: Mapping[str, str] | None = None) -> bool:
    """End a token at once; False if it was revoked before."""
    with transaction.atomic():
        valid = Token.objects.filter(pk=token.pk, revoked_at=None)
        if not valid.update(revoked_at=timezone.now()):
            return False
        record_rights(who or of_command(), token.user.get_username(), f"token {token.id} revoked")
    return True


def authenticate(request: HttpRequest) -> Access | None:
    """The access of a request's token (`Authorization: Bearer …`), which is then `request.token`; None without one.

    Raises UnknownToken, ExpiredToken or RevokedToken. The day of use is kept, at most one write a day.
    """
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = _valid(text.strip())
    request.token = token  # type: ignore[attr-defined]
    access = access_of(token.user)
    request.access = access  # type: ignore[attr-defined]
    _used(token)
    return access


def allows(request: HttpRequest, scope: Scope) -> bool:
    """Whether a request may do this: its token has the scope, or a person is signed in."""
    token: Token | None = getattr(request, "token", None)
    return token is None or scope.value in token.scopes


def _valid(text: str) -> Token:
    token = None
    if text.startswith(PREFIX) and len(text) <= _LONGEST:
        token = Token.objects.select_related("user").filter(digest=_digest(text)).first()
    if token is None or not token.user.is_active:
        raise UnknownToken("This token is not known", next_step="Make a new one on the page Tokens")
    if token.revoked_at is not None:
        raise RevokedToken("This token was revoked", next_step="Make a new one on the page Tokens")
    if token.expires_at <= timezone.now():
        raise ExpiredToken(
            f"This token expired on {token.expires_at:%Y-%m-%d}",
            next_step="Make a new one on the page Tokens",
        )
    return token


def _used(token: Token) -> None:
    today = datetime.now(UTC).date()
    if token.used_on != today:
        Token.objects.filter(pk=token.pk).update(used_on=today)


def usable(user: Any) -> list[Scope]:
    """The scopes that the account's roles can use; `read` always, for roles that are given later."""
    roles = set(Grant.objects.filter(user=user).values_list("role", flat=True))
    return [scope for scope in Scope if scope == Scope.READ or roles & _NEEDED[scope]]


def _require_use(user: Any, scopes: Collection[str]) -> None:
    for scope in sorted(set(scopes) - set(usable(user))):
        needed = ", ".join(role for role in Role if role in _NEEDED[Scope(scope)])
        raise BadToken(
            f"No role of {user.get_username()} can use the scope {scope}",
            where="No token was made",
            next_step=f"Leave the scope out, or first give the account one of the roles {needed}",
        )


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def _scopes(names: Collection[str]) -> list[str]:
    unknown = set(names) - set(Scope)
    if unknown or not names:
        what = f"{', '.join(sorted(unknown))} is not a scope" if unknown else "A token needs a scope"
        raise BadToken(what, next_step=f"One or more of {', '.join(Scope)}")
    return [scope.value for scope in Scope if scope in names]
