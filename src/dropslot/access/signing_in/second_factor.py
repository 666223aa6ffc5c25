"""Which accounts must use a second factor: those that have a role named by `portal.second_factor`."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest

from dropslot.access.roles import Role
from dropslot.access.section import portal_of
from dropslot.access.seen import Access

# Recovery codes are for a lost one; they are no second factor by themselves.
_TYPES = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def is_missing(request: HttpRequest) -> bool:
    """Whether somebody is signed in who must have a second factor, and has none."""
    access: Access = request.access  # type: ignore[attr-defined]
    return is_needed(access) and request.user.is_authenticated and not has(request.user)


def is_needed(access: Access) -> bool:
    """Whether one of an account's roles needs it."""
    portal = portal_of(access.config)
    return portal is not None and access.has({Role(name) for name in portal.second_factor})


def has(user: Any) -> bool:
    """Whether an account has an app or a passkey."""
    return bool(is_mfa_enabled(user, _TYPES))
