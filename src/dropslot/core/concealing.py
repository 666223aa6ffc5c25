"""Hides secrets: everything that is printed, logged or recorded goes through `conceal`.

A text is a secret in two cases: it is a `Secret`, and is then hidden in every text; or it is in the place of a
password, in a URL or beside a key with such a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, unquote

from dropslot.core.context import kept
from dropslot.core.names import escape

HIDDEN = "***"
_SHORTEST = 4  # a shorter one would hide parts of ordinary words
_SECRET = re.compile(
    r"passw|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key|\bsig\b", re.IGNORECASE
)
# What follows a colon is no port.
_NO_PORT = r"(?!\d{1,5}(?:[/?\s'\",)\]]|\.?\Z))"
# From the first colon, also a percent-encoded one, to the last @: a password may have @ and / in it. A user may have
# an @, too (an address of mail), so that what is behind it may be a host with its port.
_COLON = r"(?::|%3[aA])"
_TO_PASSWORD = re.compile(
    rf":/{{1,2}}(?:[^\s:/@'\"]*?{_COLON}|[^\s:/'\"\[]*@[^\s:/@'\"\[]*?{_COLON}{_NO_PORT})"
)
_IN_WHOLE_URL = re.compile(
    rf"((?:://[^:/@\n]*?|\A(?![\w+.-]+://)[\w.+@%\\-]*?){_COLON}|://[^\s:/\[]*@[^\s:/@\[]*?{_COLON}{_NO_PORT}).*@",
    re.DOTALL,
)
_WITHOUT_HOST = re.compile(rf"(://[^\s:/@'\"\[]*:){_NO_PORT}[^\s/'\"@{{}}\[\]]+")
_WORD = re.compile(r"\S+")
_PARAMETER = re.compile(
    r"([?&;](?:(?=[\w.-]*(?:passw|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key))[\w.-]++"
    r"|sig|auth|key)=)[^&;\s'\"]+",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"(\b\w*(?:password|passwd|pwd)\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s,;&]+)", re.IGNORECASE)


class _Known(set[str]):
    """The spellings of all secrets that were made."""


class Secret(str):
    """A text that is used and never shown: its repr hides it, and `conceal` hides it in every other text."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        made = super().__new__(cls, value)
        if len(value) >= _SHORTEST:
            kept(_Known).update(_spellings(value))
        return made

    def __repr__(self) -> str:
        return f"'{HIDDEN}'"


def is_secret(key: str) -> bool:
    """Whether what has this name may be a secret."""
    return bool(_SECRET.search(key))


def conceal(text: str) -> str:
    """A text for people or machines, without the secrets in it."""
    for known in sorted(kept(_Known), key=len, reverse=True):
        if known in text:
            text = text.replace(known, HIDDEN)
    if ":/" in text:
        text = _WORD.sub(_without_password, text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _PARAMETER.sub(rf"\1{HIDDEN}", text)) if "=" in text else text


def _without_password(word: re.Match[str]) -> str:
    # In one pass, since senders choose the names in a text: no expression looks for the last @ from each place anew.
    text = word[0]
    after = text.rfind("@") + 1
    found = _TO_PASSWORD.search(text, 0, after)
    begins = f"{text[: found.end()]}{HIDDEN}@" if found else text[:after]
    return begins + _WITHOUT_HOST.sub(rf"\1{HIDDEN}", text[after:])


def conceal_value(value: Any) -> Any:
    """As `conceal`, for a value from a configuration: a text may be one address as a whole, also without a scheme;
    the value of a key that is named like a secret is hidden."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) else conceal_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [conceal_value(each) for each in value]
    return conceal(_IN_WHOLE_URL.sub(rf"\1{HIDDEN}@", value)) if isinstance(value, str) else value


def has_password(text: str) -> bool:
    """Whether a text, meant as an address or not, has a password where addresses have it."""
    return bool(conceal_value(text) != text)


def _spellings(value: str) -> Iterator[str]:
    """The text itself, and its spellings in URLs, errors and JSON, and by people."""
    plain = str.__str__(value)
    shown = (
        unquote(plain),
        quote(plain, safe=""),
        quote(plain),
        json.dumps(plain)[1:-1],
        repr(plain)[1:-1],
        escape(plain),
    )
    yield from (each for each in (plain, *shown) if len(each) >= _SHORTEST)
