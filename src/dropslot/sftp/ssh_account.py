"""Who logs in where, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropslot.core.addressing import addresses

UNSENT = "Nothing was sent there, and the source is untouched"


@dataclass(frozen=True, slots=True)
class Password:
    """Where a password is kept; `name` is its name for people. It is read at each login, so a new one counts at
    once."""

    name: str
    read: Callable[[], str] = field(compare=False, repr=False)  # raises DestinationUnready when there is none


@dataclass(frozen=True, slots=True)
class Account:
    """One login at one server. `key` and `known_hosts` are paths; without them the agent and ~/.ssh are used.

    `client` makes the `login.Client` that answers the server's questions when a person signs in; then it alone knows
    keys and passwords.
    """

    user: str
    host: str
    port: int
    key: str | None = None
    known_hosts: str | None = None
    password: Password | None = None
    client: Callable[[], Any] | None = field(default=None, compare=False, repr=False)

    @property
    def server(self) -> str:
        """`user@host:port`, for people."""
        return addresses.Address(self.user, self.host, self.port, "/").server

    @property
    def url(self) -> str:
        """The address of the server alone, for the command line."""
        return f"{addresses.SCHEME}{self.server}/"

    @property
    def hosts_file(self) -> Path:
        """The known_hosts file that says which servers are trusted."""
        return Path(self.known_hosts or "~/.ssh/known_hosts").expanduser()
