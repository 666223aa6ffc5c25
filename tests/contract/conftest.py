"""What all tests of destinations at servers begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.destination_contract import SMALL, make
from contract.sftp_site import SftpSite, site_at
from dropslot.sftp import runtime
from misbehaving import Honest, Misbehaving
from sshd import Sshd


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


@pytest.fixture
def misbehave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SftpSite]]:
    """A site at a server of the given kind."""
    servers = []

    def start(kind: type[Honest], **more: Any) -> SftpSite:
        (tmp_path / "out").mkdir()
        servers.append(Misbehaving(tmp_path, kind, monkeypatch))
        return site_at(servers[-1], tmp_path / "out", **more)

    yield start
    runtime.close()
    for server in servers:
        server.stop()
