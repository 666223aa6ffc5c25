"""The groups of commands: those of the sender, which every installation has, and those of the server."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from dropslot.core.apps import APPS
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

# One module a group; each has `commands`, a typer.Typer whose commands become dropslot's own. Apps bring more.
SENDER = ("dropslot.cli.sending.send", "dropslot.cli.sending.sent", "dropslot.cli.sending.desktop")
SERVER = (
    "dropslot.cli.installing.setup",
    "dropslot.cli.delivering",
    "dropslot.cli.working",
    "dropslot.cli.listings",
    "dropslot.cli.servers",
    "dropslot.cli.keeping.upkeep",
    "dropslot.cli.start_queue",
    "dropslot.cli.keeping.health",
    "dropslot.cli.keeping.space",
    "dropslot.cli.keeping.rebuilding",
    "dropslot.cli.moving",
    "dropslot.cli.keeping.purging",
    "dropslot.cli.results.uploads",
    "dropslot.cli.watcher",
    "dropslot.cli.installing.install_service",
    *(group for each in APPS for group in each.commands),
)
_PACKAGES = ("django", "pydantic", "structlog")


WITHOUT_SERVER = (
    "The server's commands run on Linux only."
    if sys.platform == "win32"
    else "For the server's commands: pip install 'dropslot[server]'."
)


class NoServer(DropslotError):
    """A command that only the server may have, where only the sender is installed."""

    code = "no-server"

    def __init__(self, command: str) -> None:
        super().__init__(f"There is no command `{escape(command)}` here", next_step=WITHOUT_SERVER)


def has_server() -> bool:
    """Whether the commands of the server can run here: its packages are installed, and this is not Windows."""
    return sys.platform != "win32" and all(find_spec(package) for package in _PACKAGES)
