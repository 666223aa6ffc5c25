"""What somebody is told of, where, and when: each person sets it for the own account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dropslot.access import accounts
from dropslot.access.seen import Access
from dropslot.access.visit_trail import record_rights, visit
from dropslot.mail.section import mail_of
from dropslot.notify.channels.message import Notice
from dropslot.notify.models import Message, Preference
from dropslot.notify.section import is_wanted
from dropslot.portal.pages.accounts.wishes import Wishes
from dropslot.portal.requests import access_in
from dropslot.portal.words.message_words import told

_SHOWN = 10  # messages
_BETWEEN_TESTS = timedelta(minutes=1)


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
        is_too_soon = _was_tested_just_now(request.user)
        if not is_too_soon:
            extra.add_for(request.user, "", notice)
    if is_too_soon:
        messages.warning(request, "There was a test message less than a minute ago. Try again in a minute.")
    else:
        messages.success(
            request, "A test message is on its way. Its state is shown below; load the page anew to see it."
        )
    return redirect("dropslot:notifications")


def _was_tested_just_now(user: Any) -> bool:
    """Within the caller's transaction, so that of two requests at the same time only one has a message sent."""
    list(get_user_model()._default_manager.select_for_update().filter(pk=user.pk))
    now = timezone.now()
    rows = Message.objects.filter(recipient__user=user.pk, notice__kind="test")
    return rows.filter(made_at__gt=now - _BETWEEN_TESTS, made_at__lte=now).exists()


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
