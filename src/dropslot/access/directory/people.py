"""Accounts that the directory has made, and the roles that its groups give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from dropslot.access import accounts, withdrawing
from dropslot.access.directory_section import GroupRole, Ldap
from dropslot.access.models import DirectoryAccount, Grant
from dropslot.config import Config

log = structlog.get_logger()


class Person(NamedTuple):
    """Somebody as the directory has them; `email` is empty if it has none."""

    name: str
    dn: str
    email: str


def named(name: str) -> Any:
    """The account of this name, any letter case, or None."""
    users = get_user_model()
    return users._default_manager.filter(**{f"{users.USERNAME_FIELD}__iexact": name}).first()


def is_local(name: str) -> bool:
    """Whether the name is that of an account that the directory has not made: it is not the directory's to open."""
    user = named(name)
    return user is not None and not is_of_directory(user)


def is_of_directory(user: Any) -> bool:
    """Whether the directory has made an account."""
    return hasattr(user, "dropslot_directory")


def made_for(config: Config, person: Person, who: Mapping[str, str]) -> Any:
    """The account of somebody whom the directory vouches for; made at the first sign-in, as an event. Raises BadAccount
    for a name that cannot be an account's, or that a local account has."""
    user = named(person.name) or _made(config, person, who)
    _require_of_directory(user)
    return user


def _made(config: Config, person: Person, who: Mapping[str, str]) -> Any:
    try:
        with transaction.atomic():
            made = accounts.add(config, accounts.Wanted(person.name, (), email=person.email), who=who)
            if made.is_new:
                DirectoryAccount.objects.create(user=made.user, dn=person.dn)
            _require_of_directory(made.user)
    except (IntegrityError, accounts.BadAccount):
        if (meanwhile := named(person.name)) is None:
            raise
        _require_of_directory(meanwhile)
        return meanwhile  # signed in twice at once: the other one has made it
    return made.user


def _require_of_directory(user: Any) -> None:
    if not is_of_directory(user):
        raise accounts.BadAccount(f"{user.get_username()} is an account of the portal's own")


def give_roles(config: Config, found: Ldap, user: Any, groups: Iterable[str], who: Mapping[str, str]) -> None:
    """Give an account what its groups give, and take away what they no longer give. Roles that no entry of `roles` has
    stay as they are."""
    within = {normal(dn) for dn in groups}
    wanted = [entry for entry in found.roles if normal(entry.group) in within]
    kept = [columns for entry in wanted for columns in _columns(config, entry)]
    lost = [
        grant
        for entry in found.roles
        for columns in _columns(config, entry)
        if columns not in kept
        for grant in Grant.objects.select_related("user").filter(user=user, **_whole(columns))
    ]
    with transaction.atomic():
        for entry in wanted:
            _add(config, user, entry, who)
        _take_away({grant.pk: grant for grant in lost}.values(), who)


def wanted_of(entry: GroupRole, name: str = "") -> accounts.Wanted:
    """A role of a group as `accounts.add` takes it."""
    return accounts.Wanted(
        name, (entry.role,), tuple(entry.routes), tuple(entry.folders), tuple(entry.studies)
    )


def normal(dn: str) -> str:
    """A distinguished name in one spelling, for comparisons."""
    from ldap import DECODING_ERROR
    from ldap.dn import explode_dn

    try:
        return ",".join(explode_dn(dn)).lower()
    except DECODING_ERROR:
        return dn.lower()


def _add(config: Config, user: Any, entry: GroupRole, who: Mapping[str, str]) -> None:
    try:
        accounts.add(config, wanted_of(entry, user.get_username()), who=who)
    except accounts.BadAccount as error:
        log.warning(f"portal.ldap.roles: {error}", action="directory_role", plain=True)


def _take_away(grants: Iterable[Grant], who: Mapping[str, str]) -> None:
    try:
        withdrawing.take_away(list(grants), who)
    except withdrawing.LastAdministrator as error:
        log.warning(f"The directory no longer gives this role. {error}", action="directory_role", plain=True)


def _columns(config: Config, entry: GroupRole) -> list[dict[str, Any]]:
    try:
        return accounts.grants_of(config, wanted_of(entry))
    except accounts.BadAccount:
        return []  # `_add` says so


def _whole(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {"folder": "", "field": "", "value": "", **columns}
