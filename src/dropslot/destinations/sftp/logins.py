"""Makes accounts of servers from config.yaml, and records the keys of trusted servers."""

from __future__ import annotations

import fcntl
import os
import pwd
from functools import partial
from pathlib import Path
from typing import Protocol

import asyncssh

from dropslot.config import secret
from dropslot.core.addressing import addresses
from dropslot.core.errors import DestinationUnready
from dropslot.sftp import trust
from dropslot.sftp.ssh_account import UNSENT, Account, Password


class Keys(Protocol):
    """The keys of an entry in config.yaml that concern the login."""

    @property
    def key(self) -> Path | None: ...

    @property
    def known_hosts(self) -> Path | None: ...

    @property
    def password(self) -> str | None:
        """The name of the environment variable that holds it (or NAME_FILE names a file)."""


def account_of(url: str, keys: Keys | None = None) -> Account:
    """The account of an address, with these keys."""
    address = addresses.parse(url)
    user = address.user or pwd.getpwuid(os.geteuid()).pw_name
    if keys is None:
        return Account(user, address.host, address.port)
    key, hosts = (str(path) if path else None for path in (keys.key, keys.known_hosts))
    password = Password(keys.password, partial(_read, keys.password, address.host)) if keys.password else None
    return Account(user, address.host, address.port, key, hosts, password)


def _read(name: str, host: str) -> str:
    password = secret(name)
    if password is None:
        raise DestinationUnready(
            # Without the name: somebody may have written the password itself there.
            f"The environment variable that `password` names for {host} is not set, nor the one with _FILE",
            where=UNSENT,
            next_step="Set one of them for the service, and restart it; or correct `password`",
        )
    return password


def accept(account: Account, key: asyncssh.SSHKey) -> Path:
    """Like `trust.accept`, under a lock: of two commands at once the second sees the line of the first."""
    with trust.opened(account) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return trust.accept(account, key)
