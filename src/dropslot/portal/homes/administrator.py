"""What an administrator should look at: accounts without a role or a second factor, and the routes."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.portal.homes.section import Section
from dropslot.portal.links import link

SHOWN = 10


def facts(access: Access) -> dict[str, Any]:
    """Counts, and the first few names."""
    accounts = _active(get_user_model())
    single = _without_second_factor(accounts.filter(dropslot_grants__isnull=False).distinct())
    idle = accounts.filter(dropslot_grants__isnull=True)
    return {
        "accounts": accounts.count(),
        "single": list(single[:SHOWN]),
        "single_count": single.count(),
        "idle": list(idle[:SHOWN]),
        "idle_count": idle.count(),
        "routes": list(access.config.routes.values()),
        "users": link("users"),
        "urgent": False,
    }


def _active(users: type[Any]) -> QuerySet[Any]:
    """The accounts that can sign in; a project's own model may have no `is_active` in its table."""
    found: QuerySet[Any] = users._default_manager.order_by(users.USERNAME_FIELD)
    has_flag = any(field.name == "is_active" for field in users._meta.get_fields())
    return found.filter(is_active=True) if has_flag else found


def _without_second_factor(accounts: QuerySet[Any]) -> QuerySet[Any]:
    if not apps.is_installed("allauth.mfa"):
        return accounts.none()
    from allauth.mfa.models import Authenticator

    return accounts.exclude(pk__in=Authenticator.objects.values("user"))


SECTION = Section("administrator", frozenset({Role.ADMINISTRATOR}), facts, seconds=10.0)
