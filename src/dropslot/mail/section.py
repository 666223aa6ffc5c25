"""The key `mail` of config.yaml. Nothing here needs Django."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from dropslot.config.secrets import secret
from dropslot.config.sections import Part, Section
from dropslot.config.values import VariableName
from dropslot.core.addressing.addresses import is_loopback
from dropslot.core.concealing import has_password

if TYPE_CHECKING:
    from dropslot.config import Config

_PORTS = {"smtp": 587, "smtps": 465}
_SERVER = re.compile(
    r"(?P<scheme>smtps?)://(?:(?P<user>[^/:\s]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?/?"
)
_FROM = re.compile(r"(?:[^<>\x00-\x1f\x7f]*<)?(?P<address>[\x21-\x7e]+@[A-Za-z0-9.-]+)>?")
_EXPECTED_SERVER = (
    "expected smtp://USER@HOST:587 (with STARTTLS) or smtps://USER@HOST:465 (TLS from the start)"
)
_EXPECTED_FROM = "expected an address of mail, such as dropslot@lab.example or Results <dropslot@lab.example>"


class Server(NamedTuple):
    """A mail server. `user` is empty if it asks for none."""

    scheme: Literal["smtp", "smtps"]
    user: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.user}{'@' if self.user else ''}{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine's own."""
        return is_loopback(self.host)


def _server(value: Any) -> Server:
    if isinstance(value, Server):
        return value
    if isinstance(value, str) and has_password(value):
        raise ValueError("expected no password in the address: `password` names where it comes from")
    found = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_EXPECTED_SERVER)
    scheme: Literal["smtp", "smtps"] = "smtps" if found["scheme"] == "smtps" else "smtp"
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise ValueError("expected a port between 1 and 65535")
    return Server(scheme, unquote(found["user"] or ""), found["host"].strip("[]").lower(), port)


def _from(value: str) -> str:
    found = _FROM.fullmatch(value.strip())
    if found is None or ("<" in value) != (">" in value):
        raise ValueError(_EXPECTED_FROM)
    return value.strip()


class Mail(BaseModel):
    """The mail server that takes dropslot's mails, and what they are sent from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: Annotated[
        Server,
        BeforeValidator(_server),
        PlainSerializer(str, return_type=str),
        WithJsonSchema({"type": "string", "x-kind": "address of a mail server"}),
    ] = Field(
        description="The server that takes mails: `smtp://USER@HOST:587` (the connection is encrypted by STARTTLS) or"
        " `smtps://USER@HOST:465` (encrypted from the start); without `USER@` nobody signs in. Its certificate must be"
        " one that this machine trusts.",
        examples=["smtp://dropslot@mail.lab.example:587"],
    )
    from_: Annotated[str, AfterValidator(_from)] = Field(
        alias="from",
        description="The sender's address of all mails, with a name or without one.",
        examples=["dropslot <dropslot@lab.example>"],
    )
    password: VariableName | None = Field(
        None,
        validate_default=True,
        description="The name of the environment variable that holds the user's password; or of `NAME_FILE`, which"
        " names a file. Never the password itself.",
        examples=["DROPSLOT_MAIL_PASSWORD"],
    )
    starttls: bool | None = Field(
        None,
        description="Whether an `smtp://` connection is encrypted. Default: `true`, except to a server on this machine."
        " `false` is for a relay of your own network without a user: anybody on the way can read the mails.",
    )

    @field_validator("password")
    @classmethod
    def _goes_with_a_user(cls, value: str | None, info: ValidationInfo) -> str | None:
        server: Server | None = info.data.get("server")
        if server is not None and server.user and value is None:
            raise ValueError(f"expected the environment variable that holds the password of {server.user}")
        if server is not None and value is not None and not server.user:
            raise ValueError("expected the user, too, in `server`: smtp://USER@HOST:587")
        return value

    @field_validator("starttls")
    @classmethod
    def _is_safe(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        server: Server | None = info.data.get("server")
        if server is None or value is None:
            return value
        if server.scheme == "smtps":
            raise ValueError("expected no such key with smtps://, which is encrypted from the start")
        if not value and server.user and not server.is_loopback:
            raise ValueError(
                "expected true if a user signs in, because others could read the password on the way; false is only for"
                " a relay of your own network that asks for no user"
            )
        return value

    @property
    def uses_starttls(self) -> bool:
        """Whether the connection begins in the open and is then encrypted, or is given up."""
        if self.server.scheme == "smtps":
            return False
        return not self.server.is_loopback if self.starttls is None else self.starttls


class TopKeys(BaseModel):
    """The key of the whole file."""

    mail: Mail | None = Field(
        None,
        description="The mail server. Without it dropslot sends no mail.",
        examples=[{"server": "smtps://mail.lab.example", "from": "dropslot@lab.example"}],
    )


class MailSection(Section):
    """The key of mail."""

    top_keys = TopKeys
    parts = (Part(Mail, "mail", "The mail server."),)


SECTION = MailSection()


def mail_of(config: Config) -> Mail | None:
    """The mail server of a configuration; None: no mail is sent."""
    return config.mail if isinstance(config, TopKeys) else None


def missing_secret(mail: Mail) -> str:
    """The environment variable that should hold the password, and does not; empty: nothing is missing. Raises
    ConfigError if it is given twice or its file cannot be read."""
    return mail.password if mail.password and not secret(mail.password) else ""
