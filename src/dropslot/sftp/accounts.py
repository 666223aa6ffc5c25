"""Who logs in where, and with what."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dropslot.core import addresses


class Keys(Protocol):
    """What an entry of config.yaml says about logging in."""

    @property
    def key(self) -> Path | None: ...

    @property
    def known_hosts(self) -> Path | None: ...

    @property
    def password(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One login at one server. `password` is the name of the environment variable that has it (or NAME_FILE a file)."""

    user: str
    host: str
    port: int
    key: str | None = None
    known_hosts: str | None = None
    password: str | None = None

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


def account_of(url: str, keys: Keys | None = None) -> Account:
    """The account of an address, with these keys."""
    address = addresses.parse(url)
    user = address.user or pwd.getpwuid(os.geteuid()).pw_name
    if keys is None:
        return Account(user, address.host, address.port)
    key, hosts = (str(path) if path else None for path in (keys.key, keys.known_hosts))
    return Account(user, address.host, address.port, key, hosts, keys.password)
