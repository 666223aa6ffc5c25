"""What somebody may change about the own account."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dropslot.access import accounts
from dropslot.access.section import portal_of
from dropslot.access.signing_in import second_factor
from dropslot.portal.pages.accounts.role_forms import NewAddress


@login_required
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Roles, mail address, password, second factor and connected providers."""
    access = request.access  # type: ignore[attr-defined]
    portal = portal_of(access.config)
    user: Any = request.user
    shown = {
        "grants": access.grants,
        "has_second_factor": second_factor.has(user),
        "needs_second_factor": second_factor.is_needed(access),
        "address_form": NewAddress(initial={"email": accounts.email_of(user)}),
        "has_password": user.has_usable_password(),
        "providers": bool(portal and portal.openid),
        "connections": SocialAccount.objects.filter(user=user).count(),
    }
    return render(request, "dropslot/account.html", shown)
