"""Signs people in with their name and password of the directory, through django-auth-ldap."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ldap
import structlog
from allauth.core import context
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.dispatch import receiver
from django.http import HttpRequest
from django_auth_ldap.backend import LDAPBackend, ldap_error

from dropslot.access import accounts
from dropslot.access.directory import ldap_connection, people
from dropslot.access.directory.ldap_connection import DirectoryAway
from dropslot.access.directory_section import Ldap
from dropslot.access.section import portal_of
from dropslot.access.signing_in.entrances import refuse
from dropslot.access.visit_trail import of_command, visit
from dropslot.access.warned import Warned
from dropslot.config import current
from dropslot.core.context import kept

log = structlog.get_logger()
# It would log what people type as their name, which may be a password.
logging.getLogger("django_auth_ldap").setLevel(logging.CRITICAL)
AWAY = "The directory does not answer. Accounts of the directory cannot sign in at the moment; try again in a minute."
_NOT_THERE = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE, ldap.BUSY)
Answer = TypeVar("Answer")


class DirectoryBackend(LDAPBackend):  # type: ignore[misc]
    """An account is made at the first sign-in, and has the roles that the directory's groups give. Local accounts are
    never opened by the directory, nor is their password shown to it."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **more: Any,
    ) -> Any:
        """The account; None: another way, or none. Raises ValidationError while the directory does not answer."""
        name = more.get(self.get_user_model().USERNAME_FIELD, username)
        if not name or not password:
            return None
        if people.is_local(name):
            # The same time, and the same words while it is away: which accounts are local shows nowhere.
            _ask(request, ldap_connection.prove)
            return None
        user = super().authenticate(request, username=name, password=password)
        return user if user is not None and user.is_active else None

    def get_user(self, user_id: Any) -> Any:
        """The account of a session; None if it is deactivated."""
        user = super().get_user(user_id)
        return user if user is not None and user.is_active else None

    def get_or_build_user(self, username: str, ldap_user: Any) -> tuple[Any, bool]:
        """The account of somebody whose password was right."""
        try:
            return people.made_for(current(), _person(username, ldap_user), _who()), False
        except accounts.BadAccount as error:
            log.warning(
                f"Somebody of the directory cannot have an account. {error}",
                action="directory_name",
                plain=True,
            )
            raise PermissionDenied from error

    def authenticate_ldap_user(self, ldap_user: Any, password: str) -> Any:
        """The account, with the roles that its groups give."""
        user = super().authenticate_ldap_user(ldap_user, password)
        found = _ldap()
        if user is not None and user.is_active and found.roles:
            try:
                groups = ldap_user.group_dns
            except ldap.LDAPError as error:
                raise _away(context.request, ldap_connection.away(found, error)) from error
            people.give_roles(current(), found, user, groups, _who())
        return user


@receiver(ldap_error, dispatch_uid="dropslot-directory-away")
def _failed(request: HttpRequest | None, exception: ldap.LDAPError, **more: Any) -> None:
    """What is nobody's password: the server is away, or does not let dropslot search."""
    if more["context"] != "authenticate" or isinstance(exception, _NOT_THERE):
        raise _away(request, ldap_connection.away(_ldap(), exception)) from exception


def is_still_there(user: Any) -> bool:
    """Whether an account may sign in without its password of the directory, as by a passkey: a local one, or one that
    the directory has now. Raises ValidationError while the directory does not answer."""
    found = ldap_of()
    if not people.is_of_directory(user):
        return True
    return found is not None and _ask(
        context.request, lambda one: ldap_connection.has(one, user.get_username())
    )


def ldap_of() -> Ldap | None:
    """The directory of the configuration; None: there is none."""
    portal = portal_of(current())
    return portal.ldap if portal else None


def _ldap() -> Ldap:
    found = ldap_of()
    if found is None:
        raise PermissionDenied  # the key was taken away
    return found


def _ask(request: HttpRequest | None, question: Callable[[Ldap], Answer]) -> Answer:
    try:
        return question(_ldap())
    except DirectoryAway as error:
        raise _away(request, error) from error


def _away(request: HttpRequest | None, error: DirectoryAway) -> ValidationError:
    """For the page; the log has the reason, once a minute."""
    if kept(Warned).is_due(error.what):
        log.error(str(error), action="directory_unavailable", plain=True)
    if request is not None:
        refuse(request, "", "the directory does not answer")
    return ValidationError(AWAY)


def _person(typed: str, ldap_user: Any) -> people.Person:
    """With the directory's own spelling of the name, so that nobody gets a second account by another one."""
    attributes: Mapping[str, list[str]] = ldap_user.attrs
    name = next(iter(attributes.get(_ldap().name, [])), typed).lower()
    email = next(iter(attributes.get("mail", [])), "")
    try:
        validate_email(email)
    except ValidationError:
        email = ""
    return people.Person(name, ldap_user.dn, email)


def _who() -> dict[str, str]:
    return {**(visit(context.request) if context.request else of_command()), "by": "ldap"}
