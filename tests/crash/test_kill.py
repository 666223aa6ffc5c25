"""Killed before every single step of an arrival, started again: promises hold, and all ends as without the crash.

On PostgreSQL every second step, the same in each run; with EVERY_STEP=1 in the environment all of them.
"""

from __future__ import annotations

import os

import pytest

from killing import trial_of
from laboratory import Laboratory
from scenarios import SCENARIOS

SHARDS = 3
# PostgreSQL is another way to commit, and other steps: sends to its socket.
ON_POSTGRES = ("first", "new-version")
STRIDE_ON_POSTGRES = 1 if os.environ.get("EVERY_STEP") else 2


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_step_on_sqlite(sqlite_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(sqlite_laboratory, name, shard)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_killed_at_steps_on_postgresql(postgres_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(postgres_laboratory, name, shard, STRIDE_ON_POSTGRES)


def kill_everywhere(laboratory: Laboratory, name: str, shard: int, stride: int = 1) -> None:
    """Every SHARDS-th point; together the shards leave none of every stride-th out."""
    trial = trial_of(laboratory, name)
    points = trial.points[::stride]
    mine = points[shard::SHARDS]
    covered = [trial.kill(point) for point in mine]
    assert len(covered) == len(mine) == len(range(shard, len(points), SHARDS)) > 0
