"""Accounts that a provider of OpenID Connect has made or may sign in to, as events of the trail."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import user_signed_up
from allauth.socialaccount.signals import social_account_added, social_account_removed
from django.dispatch import receiver
from django.http import HttpRequest

from dropslot.access.signing_in.entrances import changed


@receiver(user_signed_up, dispatch_uid="dropslot-account-made")
def _made(request: HttpRequest, user: Any, sociallogin: Any = None, **_: Any) -> None:
    if sociallogin is not None:
        changed(request, user, f"account made, without a role, by openid:{sociallogin.account.provider}")


@receiver(social_account_added, dispatch_uid="dropslot-provider-added")
def _added(request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    changed(request, sociallogin.user, f"provider connected: openid:{sociallogin.account.provider}")


@receiver(social_account_removed, dispatch_uid="dropslot-provider-removed")
def _removed(request: HttpRequest, socialaccount: Any, **_: Any) -> None:
    changed(request, socialaccount.user, f"provider disconnected: openid:{socialaccount.provider}")
