"""Where messages go: an address of mail, or a service that apprise speaks to (Slack, Teams, a webhook …).

A secret in an address comes from the environment: `slack://${SLACK_TOKENS}`. Nothing here needs Django or apprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from dropslot.config.secrets import secret
from dropslot.core.addressing.addresses import scheme_of
from dropslot.core.concealing import conceal, has_password

_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]+(?:\.[\w-]+)*")
_VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_SERVICE = re.compile(r"[a-z][a-z0-9]*://[\x21-\x7e]+")
# Their first part is the name of a host; that of others may be a token.
_NAMES_A_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_EXPECTED = (
    "expected mailto:NAME@HOST, or an address of apprise such as jsons://HOST/PATH or slack://${SLACK_TOKENS}, where"
    " ${NAME} stands for the environment variable NAME"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One place that messages go to. `text` is as in config.yaml, with ${NAME} in place of what is secret. `is_own`: a
    person has set it for the own account, so that nothing in it stands for a secret of the service."""

    text: str
    is_own: bool = False

    @property
    def mail(self) -> str:
        """The address of mail; empty: it is a service."""
        return self.text.removeprefix("mailto:") if self.text.startswith("mailto:") else ""

    @property
    def variables(self) -> list[str]:
        """The environment variables that hold its secrets."""
        return [] if self.is_own else _VARIABLE.findall(self.text)

    def missing_secrets(self) -> list[str]:
        """The variables that the environment lacks. Raises ConfigError if a secret's file cannot be read."""
        return [name for name in self.variables if not secret(name)]

    def address(self) -> str:
        """The address of apprise with its secrets: to be used, never shown. Raises ConfigError."""
        if self.is_own:
            return self.text
        return _VARIABLE.sub(lambda found: secret(found[1]) or "", self.text)

    def host(self) -> str:
        """The server, where the address names it, as that of a webhook does; else empty. Raises ConfigError."""
        address = self.address()
        return (urlsplit(address).hostname or "") if scheme_of(address) in _NAMES_A_HOST else ""

    def __str__(self) -> str:
        """What people, logs and the trail may see: no token, also where somebody wrote one into config.yaml."""
        if self.mail or _VARIABLE.fullmatch(self.text):
            return self.text
        scheme, rest = self.text.split("://", 1)
        first = rest.split("/", 1)[0].split("?", 1)[0].rsplit("@", 1)[-1]
        if scheme in _NAMES_A_HOST or _VARIABLE.fullmatch(first):
            return conceal(f"{scheme}://{first}/…")
        return f"{scheme}://…"


# What an own address may be: services on the web, without the options of apprise, some of which read files.
OWN_SERVICES = {
    "discord": "Discord",
    "gotifys": "Gotify",
    "jsons": "a webhook that takes JSON",
    "matrixs": "Matrix",
    "mmosts": "Mattermost",
    "ntfys": "ntfy",
    "rockets": "Rocket.Chat",
    "slack": "Slack",
    "tgram": "Telegram",
    "workflows": "Teams",
    "zulip": "Zulip",
}


def own_target_of(text: str) -> Target:
    """A target that a person sets for the own account: no address of mail, since mails go to the account's. Raises
    ValueError."""
    text = text.strip()
    if "${" in text or "?" in text:
        raise ValueError("expected an address without ? and ${")
    if text.startswith("mailto:"):
        raise ValueError("expected no mailto: mails go to the address of your account")
    if not _SERVICE.fullmatch(text) or scheme_of(text) not in OWN_SERVICES:
        raise ValueError(
            f"expected an address that begins with one of: {', '.join(OWN_SERVICES)}, as slack://…"
        )
    return Target(text, is_own=True)


def target_of(text: str) -> Target:
    """A target as people write it. Raises ValueError, which says what is expected."""
    text = text.strip()
    if text.startswith("mailto:") and not text.startswith("mailto://"):
        if not text.isascii() or not _MAIL.fullmatch(text.removeprefix("mailto:")):
            raise ValueError("expected one address of mail, such as mailto:ops@lab.example")
        return Target(text)
    if _VARIABLE.fullmatch(text):
        return Target(text)
    if not _SERVICE.fullmatch(text):
        raise ValueError(_EXPECTED)
    if scheme_of(text) in ("mailto", "mailtos"):
        raise ValueError("expected mailto:NAME@HOST: mails go through the server of the key `mail`")
    if has_password(_VARIABLE.sub("", text)):
        raise ValueError("expected no password: write ${NAME} there, and set the environment variable NAME")
    return Target(text)
