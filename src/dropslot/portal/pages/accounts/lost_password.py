"""The page of a lost password: with a mail server it sends a link, without one it says who makes one."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm
from allauth.account.views import password_reset, password_reset_done
from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from dropslot.access import accounts, one_time_links
from dropslot.access.signing_in.entrances import link_asked, refuse
from dropslot.config import current
from dropslot.mail.section import mail_of


class AskForLink(ResetPasswordForm):  # type: ignore[misc]
    """Takes an address of mail. Whether an account has it shows neither in the answer nor in how long that takes: mails
    are sent by another thread."""

    sends_mail = True

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.fields["email"].label = "Mail address"
        self.fields["email"].widget.attrs["placeholder"] = ""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        self.users = accounts_of(email)
        return email

    def save(self, request: HttpRequest, **_: Any) -> str:
        for user in self.users:
            link_asked(request, user)
            # To the address that the account has, which may be spelled otherwise than what was typed.
            found = {
                "username": user.get_username(),
                "password_reset_url": one_time_links.link(user, current()),
            }
            get_adapter().send_mail("account/email/password_reset_key", accounts.email_of(user), found)
        if not self.users:
            refuse(request, "", "a link was asked for an address of mail that leads to no account")
        return str(self.cleaned_data["email"])


def accounts_of(email: str) -> list[Any]:
    """The active accounts that have this address, any letter case, and may set a password by it.

    An account that has signed in without a password does so through a provider or the directory, which may have closed
    it by now.
    """
    users = get_user_model()
    named = {f"{users.get_email_field_name()}__iexact": email}
    found = users._default_manager.filter(is_active=True, **named).order_by("pk")
    return [user for user in found if user.has_usable_password() or user.last_login is None]


@require_http_methods(["GET", "POST"])
def lost(request: HttpRequest) -> HttpResponse:
    """Asks for the address; without a mail server it names the administrator."""
    if mail_of(current()) is None:
        return _ask_an_administrator(request)
    answer: HttpResponse = password_reset(request)
    return answer


@require_GET
def _ask_an_administrator(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset.html")


def asked(request: HttpRequest) -> HttpResponse:
    """What comes next, the same for every address."""
    if mail_of(current()) is None:
        raise Http404
    answer: HttpResponse = password_reset_done(request)
    return answer
