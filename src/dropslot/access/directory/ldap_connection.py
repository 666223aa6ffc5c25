"""Connections to the directory: always encrypted unless it is on this machine, and given up after a few seconds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ldap
from django_auth_ldap.config import (
    GroupOfNamesType,
    GroupOfUniqueNamesType,
    LDAPGroupType,
    LDAPSearch,
    NestedActiveDirectoryGroupType,
    PosixGroupType,
)
from ldap.filter import escape_filter_chars

from dropslot.access.directory_section import Ldap
from dropslot.config.secrets import secret
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

SECONDS = 5  # for each answer
# Where Debian and Red Hat keep the authorities that a machine trusts: libldap looks at neither by itself.
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_KINDS: dict[str, type[LDAPGroupType]] = {
    "groupOfNames": GroupOfNamesType,
    "groupOfUniqueNames": GroupOfUniqueNamesType,
    "posixGroup": PosixGroupType,
    "activeDirectory": NestedActiveDirectoryGroupType,
}


class DirectoryAway(DropslotError):
    """The directory cannot be asked; accounts of the portal's own can sign in."""

    code = "directory"
    retryable = True


def auth_settings(found: Ldap) -> dict[str, Any]:
    """Django's settings of django-auth-ldap. Raises ConfigError for a password that cannot be read."""
    made: dict[str, Any] = {
        "AUTH_LDAP_SERVER_URI": found.server,
        "AUTH_LDAP_START_TLS": found.uses_starttls,
        "AUTH_LDAP_CONNECTION_OPTIONS": _options(found),
        "AUTH_LDAP_BIND_DN": found.bind or "",
        "AUTH_LDAP_BIND_PASSWORD": _password(found),
        "AUTH_LDAP_USER_SEARCH": LDAPSearch(found.users, ldap.SCOPE_SUBTREE, f"({found.name}=%(user)s)"),
        "AUTH_LDAP_ALWAYS_UPDATE_USER": False,
    }
    if found.groups:
        kind = "group" if found.group_kind == "activeDirectory" else found.group_kind
        search = LDAPSearch(found.groups, ldap.SCOPE_SUBTREE, f"(objectClass={kind})")
        made |= {"AUTH_LDAP_GROUP_SEARCH": search, "AUTH_LDAP_GROUP_TYPE": _KINDS[found.group_kind]()}
    return made


def prove(found: Ldap) -> None:
    """Connect, encrypt, sign in and look where people are. Raises DirectoryAway."""
    _search(found, found.users, ldap.SCOPE_BASE, "(objectClass=*)")


def has(found: Ldap, name: str) -> bool:
    """Whether the directory has this person now. Raises DirectoryAway."""
    return (
        len(_search(found, found.users, ldap.SCOPE_SUBTREE, f"({found.name}={escape_filter_chars(name)})"))
        == 1
    )


def _search(found: Ldap, base: str, scope: int, wanted: str) -> list[Any]:
    try:
        connection = ldap.initialize(found.server)
        try:
            for option, value in _options(found).items():
                connection.set_option(option, value)
            if found.uses_starttls:
                connection.start_tls_s()
            connection.simple_bind_s(found.bind or "", _password(found))
            answer = connection.search_s(base, scope, wanted, [found.name])
        finally:
            connection.unbind_s()
    except ldap.LDAPError as error:
        raise away(found, error) from error
    return [entry for entry in answer if entry[0] is not None]


def away(found: Ldap, error: ldap.LDAPError) -> DirectoryAway:
    """The error in words."""
    what, remedy = _in_words(found, error)
    return DirectoryAway(
        f"The directory {found.server} {what}",
        where="Accounts of the portal's own can sign in",
        next_step=remedy,
    )


def _in_words(found: Ldap, error: ldap.LDAPError) -> tuple[str, str]:
    details = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    said = escape(" ".join(str(details[key]) for key in ("desc", "info") if details.get(key)) or str(error))
    match error:
        case ldap.INVALID_CREDENTIALS() | ldap.INAPPROPRIATE_AUTH():
            return (
                f"does not accept {found.bind or 'searches by nobody'}: {said}",
                "correct portal.ldap.bind and its secret",
            )
        case ldap.NO_SUCH_OBJECT():
            return f"has no {found.users} that may be searched: {said}", "correct portal.ldap.users"
        case ldap.TIMEOUT():
            return (
                f"does not answer within {SECONDS} s",
                "a firewall may be in between; or correct portal.ldap.server",
            )
        case _:
            return (
                f"cannot be used: {said}",
                "start it, correct portal.ldap.server, or name the authority of its certificate in"
                " portal.ldap.certificates",
            )


def _password(found: Ldap) -> str:
    return (secret(found.password) or "") if found.password else ""


def _options(found: Ldap) -> dict[int, Any]:
    made: dict[int, Any] = {
        ldap.OPT_NETWORK_TIMEOUT: SECONDS,
        ldap.OPT_TIMEOUT: SECONDS,
        ldap.OPT_REFERRALS: 0,  # passwords go to no other server
    }
    if not found.server.startswith("ldaps:") and not found.uses_starttls:
        return made
    made[ldap.OPT_X_TLS_REQUIRE_CERT] = ldap.OPT_X_TLS_DEMAND
    if authorities := _authorities(found):
        made[ldap.OPT_X_TLS_CACERTFILE] = authorities
    made[ldap.OPT_X_TLS_NEWCTX] = 0  # last: it takes the options above into use
    return made


def _authorities(found: Ldap) -> str:
    if found.certificates:
        return str(found.certificates)
    return next(
        (path for path in (os.environ.get("SSL_CERT_FILE", ""), *_AUTHORITIES) if Path(path).is_file()), ""
    )
