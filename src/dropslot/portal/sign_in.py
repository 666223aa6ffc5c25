"""How people sign in: what django-allauth asks of the portal."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dropslot.access.section import portal_of
from dropslot.access.signing_in.entrances import refuse
from dropslot.access.visit_trail import address_of
from dropslot.config import current
from dropslot.mail.section import mail_of
from dropslot.portal import letters

_WRONG = "The name or the password is wrong."
_QUIET = "account/messages/logged_"  # what the next page shows anyway


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by an administrator; nobody signs up."""

    error_messages = MappingProxyType(
        {
            **DefaultAccountAdapter.error_messages,
            "username_password_mismatch": _WRONG,
            "email_password_mismatch": _WRONG,
        }
    )

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that limits of attempts are counted for, and that the trail has: `portal.proxies` are trusted."""
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            refuse(request, "", "too many attempts")
            raise

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        """Not right after the sign-in; nor of somebody who has no password, and whom the provider alone can ask."""
        request = context.request
        records = get_authentication_records(request, request.user)
        is_recent = bool(records) and time.time() - records[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT
        can_be_asked = bool(self.get_reauthentication_methods(request.user))
        return can_be_asked and not is_recent and bool(super().is_reauthentication_required(app=app, **more))

    def pre_login(self, request: HttpRequest, user: Any, **more: Any) -> HttpResponse | None:
        """An account of the directory signs in for as long as it is there, also by a passkey. `ldap_user` is what a
        password that was right just now has left."""
        if hasattr(user, "dropslot_directory") and not hasattr(user, "ldap_user"):
            try:
                is_there = _is_still_there(user)
            except ValidationError as error:
                messages.error(request, error.message)
                return redirect("account_login")
            if not is_there:
                refuse(request, user.get_username(), "the directory does not have this account any more")
                inactive: HttpResponse = self.respond_user_inactive(request, user)
                return inactive
        answer: HttpResponse | None = super().pre_login(request, user, **more)
        return answer

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """By the server of `mail`, without waiting for it; a project without that key sends by its own settings."""
        if (mail := mail_of(current())) is None:
            super().send_mail(template_prefix, email, context)
        else:
            letters.post(mail, template_prefix, email, context)

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """To the address that the account has."""
        own = email or getattr(user, user.get_email_field_name(), "")
        if own:
            more = {"username": user.get_username(), **(context or {})}
            super().send_notification_mail(template_prefix, user, more, own)

    def add_message(
        self, request: HttpRequest, level: int, message_template: str = "", *more: Any, **kw: Any
    ) -> None:
        if not (message_template or "").startswith(_QUIET):
            super().add_message(request, level, message_template, *more, **kw)


def _is_still_there(user: Any) -> bool:
    portal = portal_of(current())
    if portal is None or portal.ldap is None:
        return False
    from dropslot.access.directory.backend import is_still_there  # needs the extra `ldap`

    return is_still_there(user)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Somebody whom a provider vouches for gets an account without any role: an administrator gives the first one."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002
        return True  # a name that is taken gets a number

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:  # noqa: ARG002
        # Addresses are no keys here: nobody is found by one, so none can be taken over by one.
        sociallogin.email_addresses = []

    def on_authentication_error(self, request: HttpRequest, provider: Any, *more: Any, **kw: Any) -> None:
        refuse(request, "", f"openid:{getattr(provider, 'sub_id', provider)} did not vouch")
        super().on_authentication_error(request, provider, *more, **kw)
