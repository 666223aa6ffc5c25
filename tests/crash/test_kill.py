"""Killed before every single step of an arrival, started again: promises hold, and all ends as without the crash."""

from __future__ import annotations

import pytest

from killing import trial_of
from laboratory import Laboratory
from scenarios import SCENARIOS

SHARDS = 3
# PostgreSQL is another way to commit, and other steps: sends to its socket.
ON_POSTGRES = ("first", "new-version")


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
