"""Addresses that a process of the service listens on."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from dropslot.core.addressing.addresses import is_loopback

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:\[\]]+):(\d{1,5})")
_EXPECTED = "expected an address and a port, such as 127.0.0.1:8070 or [::1]:8070"


class Listen(NamedTuple):
    """An address (IPv6 without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def listen(value: Any) -> Listen:
    """`HOST:PORT`. Raises ValueError in words for the person who wrote it."""
    if isinstance(value, Listen):
        return value
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(_EXPECTED)
    return Listen(match[1].strip("[]"), int(match[2]))


ListenAddress = Annotated[
    Listen,
    BeforeValidator(listen),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
