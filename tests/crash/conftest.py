"""One laboratory for each test process and database: to start one takes longer than a hundred trials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from laboratory import Laboratory, in_memory
from postgres import PostgresServer
from sshd import Sshd, serving_for_long


@pytest.fixture(scope="session")
def sqlite_laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = Laboratory(in_memory(tmp_path_factory.getbasetemp(), "sqlite"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres_laboratory(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Laboratory]:
    made = Laboratory(in_memory(tmp_path_factory.getbasetemp(), "postgresql"), postgres_server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def laboratory_sshd() -> Iterator[Sshd]:
    """Of the laboratory alone: that nobody is served any more tells that a killed process is gone."""
    yield from serving_for_long()


@pytest.fixture
def remote_laboratory(sqlite_laboratory: Laboratory, laboratory_sshd: Sshd) -> Iterator[Laboratory]:
    """The one with SQLite, with a server beside it."""
    sqlite_laboratory.sshd = laboratory_sshd
    yield sqlite_laboratory
    sqlite_laboratory.sshd = None
