"""Taking roles away, and deactivating accounts. None is ever deleted: the trail names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from dropslot.access.accounts import BadAccount
from dropslot.access.models import Grant
from dropslot.access.roles import Role
from dropslot.access.signing_in import sessions
from dropslot.access.visit_trail import of_command, record_rights

_REMEDY = "First make somebody else an administrator of all routes"


class LastAdministrator(BadAccount):
    """Nobody could give roles any more; nothing was changed."""

    code = "last-administrator"


def take_away(grants: Iterable[Grant], who: Mapping[str, str] | None = None) -> None:
    """Remove roles, as one event for each account. Raises LastAdministrator."""
    with transaction.atomic():
        _require_administrator(without_grants=[grant.pk for grant in grants])
        for grant in grants:
            name, what = grant.user.get_username(), f"role removed: {grant}"
            grant.delete()
            record_rights(who or of_command(), name, what)


def deactivate(user: Any, who: Mapping[str, str] | None = None) -> None:
    """End an account's sessions, and let neither a person nor a token in. Its roles stay, for an activation.

    Raises LastAdministrator.
    """
    with transaction.atomic():
        _require_administrator(without_user=user.pk)
        _set_active(user, False)
        sessions.end_all(user)
        record_rights(who or of_command(), user.get_username(), "account deactivated")


def activate(user: Any, who: Mapping[str, str] | None = None) -> None:
    """Let somebody sign in with a deactivated account again."""
    with transaction.atomic():
        _set_active(user, True)
        record_rights(who or of_command(), user.get_username(), "account activated")


def end_sessions(user: Any, who: Mapping[str, str]) -> None:
    """Sign an account out everywhere."""
    with transaction.atomic():
        sessions.end_all(user)
        record_rights(who, user.get_username(), "signed out everywhere")


def remove_second_factor(user: Any, who: Mapping[str, str]) -> None:
    """Forget apps, passkeys and recovery codes of somebody who has lost them, and end the sessions."""
    from allauth.mfa.models import Authenticator

    with transaction.atomic():
        Authenticator.objects.filter(user=user).delete()
        sessions.end_all(user)
        record_rights(who, user.get_username(), "second factor removed")


def _set_active(user: Any, is_active: bool) -> None:
    user.is_active = is_active
    user.save(update_fields=["is_active"])


def administrators() -> list[Grant]:
    """The grants by which active accounts are administrators of all routes."""
    return list(
        Grant.objects.select_related("user")
        .filter(role=Role.ADMINISTRATOR, route="", user__is_active=True)
        .order_by("id")
    )


def _require_administrator(without_grants: Iterable[int] = (), without_user: int | None = None) -> None:
    """Raise LastAdministrator if none is left. Two administrators who remove each other at once wait for each other."""
    list(Grant.objects.select_for_update().filter(role=Role.ADMINISTRATOR, route="").order_by("id"))
    now = administrators()
    left = [one for one in now if one.pk not in set(without_grants) and one.user_id != without_user]
    if now and not left:
        raise LastAdministrator(
            f"{now[0].user.get_username()} is the only administrator",
            where="Nothing was changed",
            next_step=_REMEDY,
        )


def listing() -> Iterable[dict[str, Any]]:
    """Each account with its roles, as `dropslot users --json` shows it."""
    users = get_user_model()._default_manager.order_by(get_user_model().USERNAME_FIELD)
    for user in users.prefetch_related("dropslot_grants").iterator(chunk_size=500):
        yield {
            "name": user.get_username(),
            "active": user.is_active,
            "roles": [str(grant) for grant in user.dropslot_grants.all()],
            "email": getattr(user, user.get_email_field_name(), ""),
            "last_signed_in_at": user.last_login,
        }
