"""Accepting a server's host key, by a person who has compared it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

import asyncssh

from dropslot.core.errors import DestinationUnready
from dropslot.sftp import hostkeys, runtime
from dropslot.sftp.login import CONNECT_SECONDS, unreachable
from dropslot.sftp.ssh_account import Account


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


def opened(account: Account) -> BinaryIO:
    """The known_hosts file for adding a line; made when it is not there, for its owner alone."""
    path = account.hosts_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600))


def accept(account: Account, key: asyncssh.SSHKey) -> Path:
    """Add a key that a person has compared to known_hosts; returns the file. Raises HostKeyChanged when another one is
    there, or this one is revoked: a changed key is never accepted."""
    if is_trusted(account, key):
        return account.hosts_file
    if hostkeys.is_revoked(account, key):
        raise hostkeys.refusal(account, key)
    before = hostkeys.contents(account)
    line = f"{hostkeys.pattern(account)} ".encode() + key.export_public_key("openssh").strip() + b"\n"
    with opened(account) as file:
        file.write((b"" if not before or before.endswith(b"\n") else b"\n") + line)
        file.flush()
        os.fsync(file.fileno())
    return account.hosts_file
