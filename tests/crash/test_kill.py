"""Killed before every single step of an arrival, started again: the promises hold, and all ends as without the crash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killing import trial_of
from laboratory import Laboratory, in_memory
from postgres import PostgresServer
from scenarios import SCENARIOS

SHARDS = 3
# PostgreSQL is another way to commit, and other steps: sends to its socket.
ON_POSTGRES = ("first", "new-version", "retry", "batch")


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


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_step_on_sqlite(sqlite_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(sqlite_laboratory, name, shard)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_killed_at_every_step_on_postgresql(postgres_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(postgres_laboratory, name, shard)


def kill_everywhere(laboratory: Laboratory, name: str, shard: int) -> None:
    """Every SHARDS-th point; together the shards leave none out."""
    trial = trial_of(laboratory, name)
    points = trial.points
    mine = points[shard::SHARDS]
    covered = [trial.kill(point) for point in mine]
    assert len(covered) == len(mine) == len(range(shard, len(points), SHARDS)) > 0
