"""Tokens for programs: each account makes and revokes its own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from dropslot.access import tokens as making
from dropslot.access.models import Token
from dropslot.access.roles import Scope
from dropslot.access.visit_trail import visit
from dropslot.portal.pages.accounts.confirmation import Asked, ask

_HINTS = {
    Scope.READ: "read: see arrivals, deliveries, events and receipts",
    Scope.UPLOAD: "upload: send files",
    Scope.OPERATE: "operate: retry, dismiss, acknowledge",
}


class NewToken(forms.Form):
    """What a token is for. It never may more than its account."""

    name = forms.CharField(
        label="Name", max_length=100, help_text="What it is for, such as: nightly copy on pc-17"
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.READ.value],
    )
    days = forms.IntegerField(
        label="Days",
        min_value=1,
        max_value=making.LONGEST_DAYS,
        initial=90,
        help_text="How long it is valid.",
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        offered = [(scope.value, _HINTS[scope]) for scope in making.usable(user)]
        self.fields["scopes"].choices = offered  # type: ignore[attr-defined]


@login_required
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The account's tokens. A new one is shown in the answer that makes it, and never again."""
    form = NewToken(request.user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        new = making.make(request.user, who=visit(request), **form.cleaned_data)
        return _page(request, NewToken(request.user), new)
    return _page(request, form, None)


@login_required
@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, id: str) -> HttpResponse:
    """End one token of the account, after a question."""
    token = get_object_or_404(Token, pk=id, user_id=request.user.pk)
    if request.method == "GET":
        title, outcome = (
            f"Revoke the token {token.name or 'without a name'}?",
            "Programs that use it are refused.",
        )
        return ask(
            request, Asked(title, f"{outcome} It cannot be undone.", "Revoke", reverse("dropslot:tokens"))
        )
    if making.revoke(token, visit(request)):
        messages.success(request, "The token is revoked. Programs that use it are refused from now on.")
    return redirect("dropslot:tokens")


def _page(request: HttpRequest, form: NewToken, new: making.New | None) -> HttpResponse:
    user: Any = request.user
    listed = [(token, state(token)) for token in Token.objects.filter(user=user)[:500]]
    shown: dict[str, Any] = {"form": form, "new": new, "tokens": listed}
    return render(request, "dropslot/tokens.html", shown)


def state(token: Token) -> str:
    """A token's state as one word."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at <= timezone.now() else "valid"
