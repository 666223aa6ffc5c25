"""Accounts and their roles, for administrators of all routes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dropslot.access import accounts, one_time_links, withdrawing
from dropslot.access.models import Grant
from dropslot.access.roles import Role
from dropslot.access.signing_in import second_factor
from dropslot.access.visit_trail import visit
from dropslot.portal.pages.accounts import known_folders, mail_address
from dropslot.portal.pages.accounts.confirmation import Asked, ask
from dropslot.portal.pages.accounts.role_forms import NewAccount, NewAddress, NewRole
from dropslot.portal.words.grant_words import in_words

SHOWN = 200
View = Callable[..., HttpResponse]


def for_managers(view: View) -> View:
    """Only for who manages accounts; others get a 403, which is an event."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.access.manages_accounts:  # type: ignore[attr-defined]
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


@for_managers
@require_GET
def users(request: HttpRequest) -> HttpResponse:
    """The accounts whose name, address or role has the text; the first SHOWN by name."""
    text = request.GET.get("q", "").strip()[:150]
    model = get_user_model()
    found = model._default_manager.order_by(model.USERNAME_FIELD)
    if text:
        name, email = f"{model.USERNAME_FIELD}__icontains", f"{model.get_email_field_name()}__icontains"
        roles = Grant.objects.filter(role__icontains=text).values("user")
        found = found.filter(Q((name, text)) | Q((email, text)) | Q(pk__in=roles))
    listed = list(found.prefetch_related("dropslot_grants")[: SHOWN + 1])
    shown = {"users": listed[:SHOWN], "is_cut": len(listed) > SHOWN, "limit": SHOWN, "text": text}
    return render(request, "dropslot/users.html", shown)


@for_managers
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make an account with its first role; then its page, with the link that sets its password."""
    config = request.access.config  # type: ignore[attr-defined]
    form = NewAccount(config, request.POST if request.method == "POST" else None)
    if form.is_valid():
        if accounts.find(form.cleaned_data["name"]) is not None:
            form.add_error("name", "There is an account of this name already")
        else:
            try:
                made = accounts.add(config, form.wanted(), who=visit(request))
            except accounts.BadAccount as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, f"The account {made.user.get_username()} is made.")
                _doubt(request, form)
                return _page(request, made.user, link=one_time_links.link(made.user, config))
    return render(request, "dropslot/new_user.html", {"form": form})


@for_managers
@require_GET
def user(request: HttpRequest, id: int) -> HttpResponse:
    """One account: its roles, its second factor, and what can be done about it."""
    return _page(request, _found(id))


@for_managers
@require_POST
def add_role(request: HttpRequest, id: int) -> HttpResponse:
    """Give an account one more role."""
    found = _found(id)
    config = request.access.config  # type: ignore[attr-defined]
    form = NewRole(config, request.POST)
    if not form.is_valid():
        return _page(request, found, form)
    try:
        accounts.add(config, form.wanted(found.get_username()), who=visit(request))
    except accounts.BadAccount as error:
        form.add_error(None, str(error))
        return _page(request, found, form)
    messages.success(request, f"{found.get_username()} has the role {form.cleaned_data['role']}.")
    _doubt(request, form)
    return redirect("dropslot:user", id)


@for_managers
@require_http_methods(["GET", "POST"])
def remove_role(request: HttpRequest, id: int, grant: int) -> HttpResponse:
    """Take one role away, after a question."""
    found = get_object_or_404(Grant.objects.select_related("user"), pk=grant, user=id)
    if request.method == "GET":
        name, role = found.user.get_username(), in_words(found)
        outcome = f"{name} no longer sees and does what the role {role} allows. It can be added again."
        return _ask(request, id, f"Remove a role of {name}?", outcome, "Remove the role")
    return _done(request, id, lambda: withdrawing.take_away([found], visit(request)), "The role is removed.")


@for_managers
@require_POST
def set_address(request: HttpRequest, id: int) -> HttpResponse:
    """Give an account another address of mail."""
    found = _found(id)
    form = NewAddress(request.POST)
    if not form.is_valid():
        return _page(request, found, address_form=form)
    words = (
        "The mail address is saved." if form.cleaned_data["email"] else "The account has no mail address now."
    )
    return _done(request, id, lambda: mail_address.move(request, found, form.cleaned_data["email"]), words)


@for_managers
@require_POST
def make_link(request: HttpRequest, id: int) -> HttpResponse:
    """A link that sets the account's password; shown in this answer alone."""
    found = _found(id)
    if not found.is_active:
        messages.error(request, "The account is deactivated. Activate it first.")
        return redirect("dropslot:user", id)
    try:
        link = one_time_links.ask(found, request.access.config, visit(request))  # type: ignore[attr-defined]
    except accounts.BadAccount as error:
        messages.error(request, str(error))
        return redirect("dropslot:user", id)
    return _page(request, found, link=link)


_QUESTIONS = {
    "deactivate": (
        "Deactivate the account {}?",
        "Its sessions end, and neither the person nor a program with a token of it can sign in, until it is activated "
        "again. Its roles stay.",
        "Deactivate",
    ),
    "remove-factor": (
        "Remove the second factor of {}?",
        "Apps, passkeys and recovery codes of the account are forgotten, and its sessions end. Then the password alone "
        "signs in.",
        "Remove the second factor",
    ),
}
_CHANGES: dict[str, tuple[Callable[..., None], str]] = {
    "deactivate": (withdrawing.deactivate, "The account is deactivated, and its sessions have ended."),
    "activate": (withdrawing.activate, "The account is active again."),
    "sign-out": (withdrawing.end_sessions, "All sessions of the account have ended."),
    "remove-factor": (withdrawing.remove_second_factor, "The second factor is removed."),
}


@for_managers
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, id: int, what: str) -> HttpResponse:
    """Deactivate or activate an account, sign it out everywhere, or remove its second factor. What takes something
    away asks first."""
    if what not in _CHANGES:
        raise Http404
    found = _found(id)
    if request.method == "GET":
        if what not in _QUESTIONS:
            return HttpResponseNotAllowed(["POST"])
        title, outcome, yes = _QUESTIONS[what]
        return _ask(request, id, title.format(found.get_username()), outcome, yes)
    act, words = _CHANGES[what]
    return _done(request, id, lambda: act(found, visit(request)), words)


def _ask(request: HttpRequest, id: int, title: str, outcome: str, act: str) -> HttpResponse:
    return ask(request, Asked(title, outcome, act, reverse("dropslot:user", args=[id])))


def _done(request: HttpRequest, id: int, act: Callable[[], None], words: str) -> HttpResponse:
    try:
        act()
    except accounts.BadAccount as error:
        messages.error(request, str(error))
    else:
        messages.success(request, words)
    return redirect("dropslot:user", id)


def _doubt(request: HttpRequest, form: NewRole) -> None:
    """Warn of a recipient's folder that is probably mistyped."""
    chosen = form.cleaned_data
    config = request.access.config  # type: ignore[attr-defined]
    if chosen["role"] == Role.RECIPIENT and known_folders.is_doubtful(config, chosen["folder"]):
        messages.warning(
            request,
            f"No folder table has the folder {chosen['folder']}, nor does a destination on this machine. If it is "
            "mistyped, remove the role and add it again; if it is to come, nothing is to be done.",
        )


def _found(id: int) -> Any:
    return get_object_or_404(get_user_model(), pk=id)


def _page(
    request: HttpRequest,
    found: Any,
    form: NewRole | None = None,
    link: str = "",
    address_form: NewAddress | None = None,
) -> HttpResponse:
    config = request.access.config  # type: ignore[attr-defined]
    shown = {
        "user_shown": found,
        "address_form": address_form or NewAddress(initial={"email": accounts.email_of(found)}),
        "grants": found.dropslot_grants.order_by("id"),
        "has_second_factor": second_factor.has(found),
        "form": form or NewRole(config),
        "link": link,
        "hours": one_time_links.HOURS,
    }
    return render(request, "dropslot/user.html", shown)
