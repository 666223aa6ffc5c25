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
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from dropslot.access.entrances import refuse
from dropslot.access.trail import address_of

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

    def add_message(
        self, request: HttpRequest, level: int, message_template: str = "", *more: Any, **kw: Any
    ) -> None:
        if not (message_template or "").startswith(_QUIET):
            super().add_message(request, level, message_template, *more, **kw)


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
