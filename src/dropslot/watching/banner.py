"""What the product connects to and watches, for whom starts it on a terminal."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.config import Config


def show(config: Config) -> None:
    """Print it."""
    sys.stdout.write(text(config, datetime.now(UTC)) + "\n")
    sys.stdout.flush()


def text(config: Config, now: datetime) -> str:
    """Start time, and of each route its inbox, destinations and processors."""
    lines = [f"dropslot, started {now.astimezone(config.zone):%Y-%m-%d %H:%M:%S %Z}"]
    for route in config.routes.values():
        lines += [
            f"Route {route.key}: takes {route.takes}, complete: {route.complete}",
            f"  inbox         {escape(route.inbox)}",
            *(f"  destination   {escape(one.to)}" for one in route.deliver),
            *(f"  processed by  {dotted}" for dotted in route.processors),
        ]
    return "\n".join([*lines, "Press CTRL-C to stop."])
