"""Whether the server that is pinged can be reached by what config.yaml allows: for `doctor`, which sends no ping."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.config.guard import Guard
from dropslot.core.names import escape


def examine(config: Config) -> Iterator[Finding]:
    """Look the name up, and compare its addresses with `allow_private`."""
    if config.health.ping is None:
        return
    parts = urlsplit(config.health.ping)
    host, about = parts.hostname or "", f"ping to {escape(parts.netloc)}"
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        what = f"its name cannot be looked up: {error.strerror}"
        yield Finding(
            "warning", about, what, "correct `health: ping`; with a proxy on the way this does no harm"
        )
        return
    guard = Guard(config.health.allow_private)
    if private := sorted({str(place[0]) for *_, place in found if not guard.admits(str(place[0]))}):
        what = f"{escape(', '.join(private))} is private, so it is not pinged"
        yield Finding(
            "error", about, what, f"if it is meant, add to `health`: allow_private: [{escape(host)}]"
        )
    else:
        yield Finding("ok", about, "its addresses may be reached")
