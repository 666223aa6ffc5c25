"""The SFTP destination against Debian's sshd: the contract, and what only a real server can show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.destination_contract import SMALL, DestinationContract, make
from dropslot.destinations.base import Destination, Rules, Target
from dropslot.destinations.sftp import connection, runtime
from dropslot.destinations.sftp.accounts import Account
from dropslot.destinations.sftp.destination import Sftp
from sshd import Sshd


@dataclass
class SftpSite:
    """A folder behind a server, looked at on the disk."""

    root: Path
    server: Sshd
    destination: Destination

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


def account_at(server: Sshd, user: str = "root") -> Account:
    return Account(user, "127.0.0.1", server.port, str(server.key), str(server.known_hosts))


def site_at(server: Sshd, root: Path, **more: object) -> SftpSite:
    destination = Sftp(account_at(server), create_folders=True, **more)  # type: ignore[arg-type]
    return SftpSite(root, server, destination)


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_server() -> Iterator[None]:
    yield
    runtime.close()


@pytest.fixture
def site(tmp_path: Path, shared_sshd: Sshd) -> SftpSite:
    (tmp_path / "out").mkdir()
    return site_at(shared_sshd, tmp_path / "out")


@pytest.fixture
def arrival(tmp_path: Path) -> Path:
    return make(tmp_path / "arrival", SMALL)


class TestSftp(DestinationContract):
    """As OpenSSH is."""


class TestSftpReadBack(DestinationContract):
    """Every byte is read again."""

    @pytest.fixture
    def site(self, tmp_path: Path, shared_sshd: Sshd) -> SftpSite:
        (tmp_path / "out").mkdir()
        return site_at(shared_sshd, tmp_path / "out", read_back=True)


class TestSftpOverOneChannel(DestinationContract):
    """A server that allows no more."""

    @pytest.fixture(autouse=True)
    def _one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "CHANNELS", 1)
