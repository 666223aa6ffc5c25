"""A folder behind a server, for tests of destinations."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropslot.destinations.base import Rules, Target
from dropslot.destinations.sftp.accounts import Account
from dropslot.destinations.sftp.destination import Sftp
from misbehaving import Misbehaving
from sshd import Sshd


@dataclass
class SftpSite:
    """A folder behind a server, looked at on the disk."""

    root: Path
    server: Sshd | Misbehaving
    destination: Sftp

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        fixed = self.server.url(self.root)
        return Target(f"{fixed}/{inner}" if inner else fixed, fixed, rules=rules or Rules())

    def _paths(self) -> list[str]:
        found = []
        for top, folders, names in os.walk(self.root):
            found += [
                os.path.relpath(os.path.join(top, n), self.root)
                for n in (*names, *(f + "/" for f in folders))
            ]
        return found

    def files(self) -> dict[str, bytes]:
        visible = [p for p in self._paths() if ".dropslot" not in p.split("/")]
        return {p: (self.root / p).read_bytes() for p in visible if (self.root / p).is_file()}

    def hidden(self) -> list[str]:
        found = [p for p in self._paths() if ".dropslot" in p.split("/")]
        return sorted(p for p in found if not (self.root / p).is_dir() or "stage" in p)

    def folders(self) -> set[str]:
        return {p for p in self._paths() if (self.root / p).is_dir()}

    def put(self, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)


def account_at(server: Sshd | Misbehaving, user: str = "root") -> Account:
    return Account(user, "127.0.0.1", server.port, str(server.key), str(server.known_hosts))


def site_at(server: Sshd | Misbehaving, root: Path, **more: Any) -> SftpSite:
    destination = Sftp(account_at(server), create_folders=True, **more)
    return SftpSite(root, server, destination)
