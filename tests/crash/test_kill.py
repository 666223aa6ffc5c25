"""Killed before every single step of an arrival, started again: promises hold, and all ends as without the crash.

What is mostly made of the same steps is killed at a part of them, the same in each run: what has steps of its own at
every one, what repeats those of a new arrival at every second, variants of these at every third, slow ones at every
eleventh, PostgreSQL at every fourth. With EVERY_STEP=1 in the environment all of them are taken; but of steps that
another scenario has, too (a start's trials of the file systems, the making of keys; with PostgreSQL all that is not
sent to it), every fourth, and of pages that SQLite writes one after the other the first.
"""

from __future__ import annotations

import os
from hashlib import sha256

import pytest

from killing import trial_of
from laboratory import Laboratory
from scenarios import HALF, SCENARIOS, WHOLE

SHARDS = 3
ALL = bool(os.environ.get("EVERY_STEP"))
VARIANTS = (
    "existing-target", "single-file", "unchanged", "retry-refused", "leave-source", "leave-source-refused",
    "shared-copy", "purge-failed", "sent-whole",
)  # fmt: skip
REPEATS = ("new-version", "retry", "retry-named", "batch", "two-destinations", "parted", "late-write")
SLOW = ("images",)  # each run starts the program that reads headers, twice
# Steps from one kill to the next.
STRIDES = (
    dict.fromkeys(SCENARIOS, 1)
    | dict.fromkeys(REPEATS, 2)
    | dict.fromkeys(VARIANTS, 3)
    | dict.fromkeys(SLOW, 11)
)
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


def test_what_was_written_on_becomes_the_next_version_once(sqlite_laboratory: Laboratory) -> None:
    """What all kills of this scenario are compared with."""
    _, end = trial_of(sqlite_laboratory, "late-write").undisturbed
    half, whole = (sha256(data).hexdigest() for data in (HALF, WHOLE))
    shown = {name: found for name, found in end.trees["studies"].items() if not name.startswith(".dropslot")}
    assert shown == {"report.pdf": half, "report.v2.pdf": whole}
    assert end.trees["done"] == {"report.pdf": whole}
    assert [kind for kind in end.kinds.elements() if kind[1] == "written-since"] == [
        ("<report.pdf 1>", "written-since")
    ]


def test_images_end_as_versions_in_their_series(sqlite_laboratory: Laboratory) -> None:
    """What all kills of this scenario are compared with."""
    _, end = trial_of(sqlite_laboratory, "images").undisturbed
    rows = {(row["instance.item"], row["instance.version"]): row["series.instances"] for row in end.images}
    assert rows == {
        ("1.dcm", 1): 3,
        ("1.dcm", 2): 3,
        ("2.dcm", 1): 3,
        ("3.dcm", 1): 3,
        ("up/other.dcm", 1): 1,
    }
    assert {
        kind: count for (arrival, kind), count in end.kinds.items() if arrival == "<visit 2>"
    } == dict.fromkeys(("claimed", "images-recorded", "instances-changed", "delivered"), 1)


def kill_everywhere(laboratory: Laboratory, name: str, shard: int, stride: int) -> None:
    """Every SHARDS-th point; together the shards leave none of every stride-th out."""
    trial = trial_of(laboratory, name)
    points = trial.thinned(trial.points)[:: 1 if ALL else stride]
    mine = points[shard::SHARDS]
    covered = [trial.kill(point) for point in mine]
    assert len(covered) == len(mine) == len(range(shard, len(points), SHARDS)) > 0
