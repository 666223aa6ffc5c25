"""One-time links that set a password: for a new account, a forgotten password, and the first administrator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.db import transaction
from django.urls import reverse

from dropslot.access import accounts, withdrawing
from dropslot.access.roles import Role
from dropslot.access.section import Portal, address, portal_of
from dropslot.access.visit_trail import record_rights
from dropslot.config import Config

HOURS = 24  # PASSWORD_RESET_TIMEOUT of the settings
_ADMINISTRATOR = "admin"


def link(user: Any, config: Config) -> str:
    """The address of a page that sets this account's password. Valid for HOURS, until it is used or the account signs
    in."""
    portal = portal_of(config) or Portal.model_validate({})
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    return address(portal) + path


def ask(user: Any, config: Config, who: Mapping[str, str]) -> str:
    """The same for an account that exists, as an event: whoever has the link can sign in as this account. Raises
    BadAccount for an account of the directory, which alone says who may sign in with it."""
    if hasattr(user, "dropslot_directory"):
        raise accounts.BadAccount(
            f"{user.get_username()} signs in with the password of the directory", where="No link was made"
        )
    made = link(user, config)
    with transaction.atomic():
        record_rights(who, user.get_username(), "link made that sets the password")
    return made


def for_first_administrator(config: Config) -> str | None:
    """A link for the administrator's password if no administrator can sign in yet; the account is made if need be.

    None if there is one who can, or if `admin` is an account without that role: its owner must not get the role by
    a start.
    """
    grants = withdrawing.administrators()
    if any(grant.user.has_usable_password() or grant.user.last_login for grant in grants):
        return None
    if grants:
        return link(grants[0].user, config)
    if accounts.find(_ADMINISTRATOR) is not None:
        return None
    made = accounts.add(config, accounts.Wanted(_ADMINISTRATOR, (Role.ADMINISTRATOR.value,)))
    return link(made.user, config)
