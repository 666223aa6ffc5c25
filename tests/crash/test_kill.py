"""Killed before every single step of an arrival, started again: promises hold, and all ends as without the crash.

What is mostly made of the same steps is killed at a part of them, the same in each run: what has steps of its own at
every one, what repeats those of a new arrival at every second, variants of these at every third, PostgreSQL at every
fourth. With EVERY_STEP=1 in the environment all of them are taken.
"""

from __future__ import annotations

import os

import pytest

from killing import trial_of
from laboratory import Laboratory
from scenarios import SCENARIOS

SHARDS = 3
ALL = bool(os.environ.get("EVERY_STEP"))
VARIANTS = (
    "existing-target", "single-file", "unchanged", "retry-refused", "leave-source", "leave-source-refused",
    "shared-copy", "purge-failed",
)  # fmt: skip
REPEATS = ("new-version", "retry", "retry-named", "batch", "two-destinations")
# Steps from one kill to the next.
STRIDES = dict.fromkeys(SCENARIOS, 1) | dict.fromkeys(REPEATS, 2) | dict.fromkeys(VARIANTS, 3)
# PostgreSQL is another way to commit, and other steps: sends to its socket.
ON_POSTGRES = ("first", "new-version")


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_steps_on_sqlite(sqlite_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(sqlite_laboratory, name, shard, STRIDES[name])


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_killed_at_steps_on_postgresql(postgres_laboratory: Laboratory, name: str, shard: int) -> None:
    kill_everywhere(postgres_laboratory, name, shard, 4)


def kill_everywhere(laboratory: Laboratory, name: str, shard: int, stride: int) -> None:
    """Every SHARDS-th point; together the shards leave none of every stride-th out."""
    trial = trial_of(laboratory, name)
    points = trial.points[:: 1 if ALL else stride]
    mine = points[shard::SHARDS]
    covered = [trial.kill(point) for point in mine]
    assert len(covered) == len(mine) == len(range(shard, len(points), SHARDS)) > 0
