"""A folder behind a server, for tests of destinations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.destination_contract import OnDisk
from dropslot.destinations.base import Rules, Target
from dropslot.destinations.sftp.destination import Sftp
from dropslot.sftp.ssh_account import Account
from misbehaving import Misbehaving
from sshd import Sshd


@dataclass
class SftpSite(OnDisk):
    """A folder behind a server, looked at on the disk."""

    root: Path
    server: Sshd | Misbehaving
    destination: Sftp

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        fixed = self.server.url(self.root)
        return Target(f"{fixed}/{inner}" if inner else fixed, fixed, rules=rules or Rules())


def account_at(server: Sshd | Misbehaving, user: str = "root") -> Account:
    return Account(user, "127.0.0.1", server.port, str(server.key), str(server.known_hosts))


def site_at(server: Sshd | Misbehaving, root: Path, **more: Any) -> SftpSite:
    destination = Sftp(account_at(server), create_folders=True, **more)
    return SftpSite(root, server, destination)
