"""What the product connects to and watches, for people who start it on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dropslot.config import sections
from dropslot.core.addressing.addresses import server_of
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.config import Config, Route


def show(config: Config, watched: Iterable[str] = ()) -> None:
    """Print it. `watched`: who watches which inbox already, in words."""
    sys.stdout.write("\n".join([text(config, datetime.now(UTC)), *watched]) + "\n")
    sys.stdout.flush()


def text(config: Config, now: datetime) -> str:
    """Start time, and for each route what it takes, from where, over which hosts to where, and what is kept."""
    lines = [f"dropslot, started {now.astimezone(config.zone):%Y-%m-%d %H:%M:%S %Z}"]
    lines += [f"The {what} is at {address}" for what, address in sections.addresses(config)]
    for route in config.routes.values():
        lines.append(f"Route {route.key}: takes {route.takes}, complete: {route.complete}")
        lines += [f"  {what:<14}{escape(value)}" for what, value in _facts(route)]
    return "\n".join([*lines, "Press CTRL-C to stop."])


def _facts(route: Route) -> Iterator[tuple[str, str]]:
    read = sections.connections(route)
    for host in _hosts([*(one.to for one in route.deliver), *(one.place for one in read)]):
        yield "connects to", host
    yield "patterns", ", ".join(route.select.patterns) or "any name"
    yield "MIME types", ", ".join(route.select.mime) or "any"
    yield "upload to", route.inbox
    for one in route.deliver:
        yield "deliver to", one.to
    yield "archive", "the source stays where it is" if route.leave_source else route.done
    yield "refused to", route.failed
    for connection in read:
        yield connection.what, connection.place
    for dotted in route.processors:
        yield "processed by", dotted


def _hosts(places: Iterable[str]) -> list[str]:
    """The servers among them, each once."""
    return list(dict.fromkeys(filter(None, map(server_of, places))))
