"""Sign-ins, refused sign-ins and changes of what somebody signs in with, as events of the trail."""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.signals import password_changed, password_reset, password_set, user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_added, authenticator_removed
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from dropslot.access.visit_trail import note
from dropslot.audit.kinds import Kind

_FACTORS = {
    Authenticator.Type.TOTP: "code of an app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery code",
}


@receiver(user_logged_in, dispatch_uid="dropslot-signed-in")
def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    note(request, Kind.SIGNED_IN, by=user.get_username(), how=how(request, user))


def how(request: HttpRequest, user: Any) -> str:
    """With what somebody has signed in: `password`, `passkey`, `openid:NAME`, `password + code of an app`."""
    steps = [_step(record, user) for record in get_authentication_records(request, user)]
    return " + ".join(dict.fromkeys(steps)) or "another way"


def _step(record: dict[str, Any], user: Any) -> str:
    method = record["method"]
    if method == "mfa":
        return _FACTORS.get(record.get("type", ""), "second factor")
    if method == "socialaccount":
        return f"openid:{record.get('provider', '')}"
    if method == "password" and hasattr(user, "dropslot_directory"):
        return "password of the directory"
    return {"password_reset": "link"}.get(method, str(method))


@receiver(user_login_failed, dispatch_uid="dropslot-sign-in-refused")
def _refused(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if request is None:  # a program of a project's own that asks without a page
        return
    users = get_user_model()
    typed = str(credentials.get("username", ""))[:150]
    user = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__iexact": typed}).first()
    if user is None:
        # The trail is for ever, and people type their password into the wrong field.
        refuse(request, "", "no such account")
    else:
        refuse(
            request, user.get_username(), "wrong password" if user.is_active else "the account is deactivated"
        )


@receiver(authentication_failed, dispatch_uid="dropslot-factor-refused")
def _factor_refused(request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    refuse(request, user.get_username(), f"wrong {_FACTORS.get(authenticator.type, 'second factor')}")


def refuse(request: HttpRequest, name: str, why: str) -> None:
    """Note a refused sign-in; `name` is an account's, or empty."""
    note(request, Kind.SIGN_IN_REFUSED, by="", name=name, why=why)


@receiver(authenticator_added, dispatch_uid="dropslot-factor-added")
def _factor_added(request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    changed(request, user, f"second factor added: {_FACTORS.get(authenticator.type, authenticator.type)}")


@receiver(authenticator_removed, dispatch_uid="dropslot-factor-removed")
def _factor_removed(request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    changed(request, user, f"second factor removed: {_FACTORS.get(authenticator.type, authenticator.type)}")


@receiver((password_changed, password_set), dispatch_uid="dropslot-password-changed")
def _password_changed(request: HttpRequest, user: Any, **_: Any) -> None:
    changed(request, user, "password changed")


@receiver(password_reset, dispatch_uid="dropslot-password-reset")
def _password_reset(request: HttpRequest, user: Any, **_: Any) -> None:
    changed(request, user, "password set with a link")


def link_asked(request: HttpRequest, user: Any) -> None:
    """Note that somebody asked for a link that is sent to the account's address; nobody is signed in."""
    note(
        request, Kind.RIGHTS_CHANGED, of=user.get_username(), what="link asked by mail that sets the password"
    )


def changed(request: HttpRequest, user: Any, what: str) -> None:
    """Note what an account changed about its own sign-in."""
    name = user.get_username()
    note(request, Kind.RIGHTS_CHANGED, by=name, of=name, what=what)
