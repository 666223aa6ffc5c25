"""The sessions of an account, and how all of them end at once.

A session is a signed cookie, so the server cannot delete it. Each account has an epoch, a session keeps the one in
which it began, and it is valid for as long as both are the same. A page reads the epoch; only what ends sessions
writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models import F
from django.dispatch import receiver

from dropslot.access.models import SessionEpoch

if TYPE_CHECKING:
    from django.http import HttpRequest  # the service has this app too, and no pages

_KEY = "dropslot_epoch"


def end_all(user: Any) -> None:
    """End all sessions of an account, on whatever machine and in whoever's hands."""
    SessionEpoch.objects.get_or_create(user=user)
    SessionEpoch.objects.filter(user=user).update(epoch=F("epoch") + 1)


def is_valid(request: HttpRequest, user: Any) -> bool:
    """Whether a request's session began in the account's present epoch."""
    return bool(request.session.get(_KEY, 0) == _epoch(user))


def begin(request: HttpRequest, user: Any) -> None:
    """Make a session one of the present epoch."""
    request.session[_KEY] = _epoch(user)


def _epoch(user: Any) -> int:
    return SessionEpoch.objects.filter(user=user).values_list("epoch", flat=True).first() or 0


@receiver(user_logged_in, dispatch_uid="dropslot-session-begins")
def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    begin(request, user)


@receiver(user_logged_out, dispatch_uid="dropslot-sessions-end")
def _signed_out(user: Any = None, **_: Any) -> None:
    # Also a copy of the cookie must not outlive the sign-out.
    if user is not None:
        end_all(user)
