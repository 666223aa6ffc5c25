"""Accepting a server's host key, by a person who has compared it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh

from dropslot.core.errors import DestinationUnready
from dropslot.sftp import hostkeys, runtime
from dropslot.sftp.accounts import Account
from dropslot.sftp.login import CONNECT_SECONDS, unreachable


def shown_key(account: Account) -> asyncssh.SSHKey:
    """The host key that the server shows now. Raises DestinationUnready."""

    async def ask() -> asyncssh.SSHKey | None:
        wanted = hostkeys.algorithms(account)
        return await asyncio.wait_for(
            asyncssh.get_server_host_key(
                account.host, account.port, config=None, server_host_key_algs=wanted
            ),
            CONNECT_SECONDS,
        )

    try:
        key = runtime.current().run(ask())
    except (OSError, asyncssh.Error, TimeoutError, UnicodeError) as error:
        raise unreachable(account, error) from error
    if key is None:
        raise DestinationUnready(f"{account.host} shows no host key", next_step="Ask its administrator")
    return key


def is_trusted(account: Account, key: asyncssh.SSHKey) -> bool:
    """Whether known_hosts has exactly this key. Raises HostKeyChanged when it has another one."""
    trusted = hostkeys.known(account)
    if trusted and key not in trusted:
        raise hostkeys.refusal(account, key)
    return key in trusted


def accept(account: Account, key: asyncssh.SSHKey) -> Path:
    """Add the key to known_hosts; returns the file. Raises HostKeyChanged: a changed key is never accepted."""
    return hostkeys.add(account, key)
