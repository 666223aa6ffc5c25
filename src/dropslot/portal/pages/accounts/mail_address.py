"""The address of mail of an account, as an administrator or the person sets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from dropslot.access import accounts
from dropslot.access.visit_trail import visit
from dropslot.portal.pages.accounts.role_forms import NewAddress

View = Callable[[HttpRequest], HttpResponse]


def move(request: HttpRequest, user: Any, email: str) -> None:
    """Set it, and say so to the old address. Raises BadAccount."""
    before = accounts.email_of(user)
    accounts.set_email(user, email, visit(request))
    if before and before != email:
        get_adapter().send_notification_mail("account/email/email_changed", user, email=before)


_with_password: Callable[[View], View] = reauthentication_required


@login_required
@require_POST
@_with_password
def own_address(request: HttpRequest) -> HttpResponse:
    """Of one's own account. Not without the password: whoever finds a browser signed in must not get the account."""
    form = NewAddress(request.POST)
    if not form.is_valid():
        messages.error(request, "This is not a mail address. Nothing was changed.")
        return redirect("dropslot:account")
    try:
        move(request, request.user, form.cleaned_data["email"])
    except accounts.BadAccount as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The mail address is saved.")
    return redirect("dropslot:account")
