"""What somebody is told of, where, and when: each person sets it for the own account."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dropslot.access import accounts
from dropslot.access.seen import Access
from dropslot.access.trail import record_rights, visit
from dropslot.mail.section import mail_of
from dropslot.notify.channels.message import Notice
from dropslot.notify.models import Message, Preference
from dropslot.notify.section import is_wanted
from dropslot.portal.pages.accounts.wishes import Wishes
from dropslot.portal.requests import access_in
from dropslot.portal.words.message_words import told

_SHOWN = 10  # messages


@login_required
@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """The form, and the last messages."""
    access, wish = access_in(request), _wish(request)
    form = Wishes(access, accounts.email_of(request.user), wish, request.POST or None)
    if request.method == "POST" and form.is_valid():
        _save(request, form)
        messages.success(request, "Saved.")
        return redirect("dropslot:notifications")
    return render(request, "dropslot/notifications.html", _shown(request, access, form, wish))


@login_required
@require_POST
def send_test(request: HttpRequest) -> HttpResponse:
    """Have a message sent to where this account's messages go."""
    from dropslot.notify.engine import extra

    notice = Notice("test", "This is a test: messages for you arrive here", level="info")
    with transaction.atomic():
        extra.add_for(request.user, "", notice)
    messages.success(
        request, "A test message is on its way. Its state is shown below; load the page anew to see it."
    )
    return redirect("dropslot:notifications")


def _wish(request: HttpRequest) -> Preference | None:
    return Preference.objects.filter(user=request.user.pk).first()


def _save(request: HttpRequest, form: Wishes) -> None:
    user: Any = request.user
    with transaction.atomic():
        if (values := form.values()) is None:
            Preference.objects.filter(user=user).delete()
        else:
            Preference.objects.update_or_create(user=user, defaults=values)
        record_rights(visit(request), user.get_username(), form.in_words())


def _shown(request: HttpRequest, access: Access, form: Wishes, wish: Preference | None) -> dict[str, Any]:
    sent = Message.objects.filter(recipient__user=request.user.pk).order_by("-made_at")[:_SHOWN]
    email = accounts.email_of(request.user)
    return {
        "form": form,
        "sent": [(row, row.title or (row.notice or {}).get("title"), told(row.state)) for row in sent],
        "shows_errors": access.sees_all_routes(),
        "email": email,
        "sends": is_wanted(access.config),
        "has_place": bool(wish and wish.target) or bool(email and mail_of(access.config)),
    }
