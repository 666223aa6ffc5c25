"""The key `portal.ldap` of config.yaml. Nothing here needs Django, nor the extra `ldap`."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dropslot.config.secrets import secret
from dropslot.config.values import VariableName
from dropslot.core.addressing.addresses import is_loopback

GroupKind = Literal["groupOfNames", "groupOfUniqueNames", "posixGroup", "activeDirectory"]
_PACKAGES = ("ldap", "django_auth_ldap")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_PART = re.compile(r"\s*[A-Za-z0-9.-]+\s*=[^\x00-\x1f]+")


def _server(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("expected ldaps://HOST or ldap://HOST (with StartTLS)")
    if parts.username is not None:
        raise ValueError("expected no user in the address: `bind` names who signs in to search")
    return str(value).rstrip("/")


def _dn(value: str) -> str:
    if not value.strip() or not all(_PART.fullmatch(part) for part in re.split(r"(?<!\\),", value)):
        raise ValueError("expected a distinguished name, such as ou=people,dc=lab,dc=example")
    return value.strip()


def _attribute(value: str) -> str:
    if not _ATTRIBUTE.fullmatch(value):
        raise ValueError("expected the name of an attribute, such as uid or sAMAccountName")
    return value


def _installed(value: Any) -> Any:
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ValueError(
            f"expected the extra `ldap` to be installed, but there is no {missing[0]}: pip install 'dropslot[ldap]'"
        )
    return value


Dn = Annotated[str, AfterValidator(_dn)]
Attribute = Annotated[str, AfterValidator(_attribute)]
Installed: Callable[[Any], Any] = _installed


class GroupRole(BaseModel):
    """A role for the people of one group of the directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: Dn = Field(
        description="The group's distinguished name.", examples=["cn=operators,ou=groups,dc=lab,dc=example"]
    )
    role: Literal["sender", "operator", "auditor", "recipient", "study-runner", "administrator"] = Field(
        description="The role that its people get.", examples=["operator"]
    )
    routes: list[str] = Field(
        default_factory=list, description="Only for these routes. Default: for all.", examples=[["results"]]
    )
    folders: list[str] = Field(
        default_factory=list,
        description="Recipients: the folders below the destination that they see.",
        examples=[["clinic12"]],
    )
    studies: list[str] = Field(
        default_factory=list,
        description="Study runners: the studies that they see, or `FIELD=VALUE` of another field.",
        examples=[["heart"]],
    )

    @model_validator(mode="after")
    def _is_bound(self) -> Self:
        if self.role == "recipient" and not self.folders:
            raise ValueError("expected `folders` besides the role recipient")
        if self.role == "study-runner" and not self.studies:
            raise ValueError("expected `studies` besides the role study-runner")
        return self


class Ldap(BaseModel):
    """A directory whose people sign in with their name and password there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: Annotated[str, BeforeValidator(_server)] = Field(
        description="The directory's server: `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]` with StartTLS. Only a"
        " server on this machine is spoken to without encryption.",
        examples=["ldaps://ldap.lab.example"],
    )
    users: Dn = Field(
        description="Where people are; the tree below is searched.", examples=["ou=people,dc=lab,dc=example"]
    )
    name: Attribute = Field(
        "uid",
        description="The attribute that has the name that people sign in with; `sAMAccountName` in Active Directory.",
        examples=["uid"],
    )
    bind: Dn | None = Field(
        None,
        description="Who searches the directory. Default: nobody signs in for that.",
        examples=["cn=dropslot,ou=services,dc=lab,dc=example"],
    )
    password: VariableName | None = Field(
        None,
        validate_default=True,
        description="The name of the environment variable that holds the password of `bind`; or of `NAME_FILE`, which"
        " names a file. Never the password itself.",
        examples=["DROPSLOT_LDAP_PASSWORD"],
    )
    certificates: Path | None = Field(
        None,
        description="The authorities that the server's certificate is proved with, in PEM. Default: this machine's.",
        examples=["/etc/ssl/lab-ca.pem"],
    )
    groups: Dn | None = Field(
        None,
        description="Where groups are; needed for `roles`.",
        examples=["ou=groups,dc=lab,dc=example"],
    )
    group_kind: GroupKind = Field(
        "groupOfNames",
        description="How groups name their people. `activeDirectory` takes groups within groups, too.",
    )
    roles: list[GroupRole] = Field(
        default_factory=list,
        validate_default=True,
        description="Which group has which role. At each sign-in an account of the directory gets what its groups give,"
        " and loses what they no longer give.",
    )

    @field_validator("password")
    @classmethod
    def _goes_with_bind(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "bind" in info.data and (value is None) != (info.data["bind"] is None):
            raise ValueError("expected both `bind` and `password`, or neither of them")
        return value

    @field_validator("roles")
    @classmethod
    def _have_groups(cls, value: list[GroupRole], info: ValidationInfo) -> list[GroupRole]:
        if value and "groups" in info.data and info.data["groups"] is None:
            raise ValueError("expected `groups`, too: where the groups are")
        return value

    @property
    def uses_starttls(self) -> bool:
        """Whether the connection begins in the open and is then encrypted, or is given up."""
        return self.server.startswith("ldap:") and not self.is_loopback

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return is_loopback(urlsplit(self.server).hostname or "")


def missing_password(ldap: Ldap | None) -> str:
    """The environment variable that should hold the password of `bind`, and does not; empty: nothing is missing. Raises
    ConfigError if it is given twice or its file cannot be read."""
    return ldap.password if ldap and ldap.password and not secret(ldap.password) else ""
