"""A worker that was thought dead and wakes up: whatever it still does takes no effect.

Together three shards take every fourth step, the same in each run; with EVERY_STEP=1 in the environment all of
them that `test_kill` takes then.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import promises
import records
from killing import Trial, trial_of
from laboratory import DRAIN, Laboratory
from promises import FOLDERS, File
from stepping import Point

SHARDS = 3
STRIDE = SHARDS if os.environ.get("EVERY_STEP") else 4 * SHARDS
# Each way of delivering, refusing and archiving once; the others differ before the first worker begins.
SCENARIOS = (
    "first", "new-version", "refused", "retry-refused", "batch", "two-destinations", "parted", "leave-source",
    "leave-source-refused", "purge", "late-write", "shared-copy", "sent-whole",
)  # fmt: skip
ON_POSTGRES = ("first", "new-version")
# Who finds the database locked gives up soon.
_IMPATIENT = {
    "dropslot.config.servers.databases:BUSY_TIMEOUT_SECONDS": 0.05,
    "dropslot.arrivals.workers.drain:FLUSH_SECONDS": 0.05,
}


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_woken_after_a_takeover_on_sqlite(sqlite_laboratory: Laboratory, name: str, shard: int) -> None:
    fence_everywhere(sqlite_laboratory, name, shard)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ON_POSTGRES)
def test_woken_after_a_takeover_on_postgresql(postgres_laboratory: Laboratory, name: str, shard: int) -> None:
    fence_everywhere(postgres_laboratory, name, shard)


def fence_everywhere(laboratory: Laboratory, name: str, shard: int) -> None:
    """Every STRIDE-th point."""
    trial = trial_of(laboratory, name)
    points = trial.thinned(of_a_living_worker(trial))[shard::STRIDE]
    assert points
    for point in points:
        overtake(trial, point)


def of_a_living_worker(trial: Trial) -> list[Point | int]:
    """The points from where the worker has its lock to where it gives it up: not those at which the database is just
    being opened or closed, when SQLite lets nobody else in."""
    order = trial.ordered
    if not any("/workers/" in step.about for _, step in order):  # no worker: a purge
        return [point for point, step in order if "sqlite" not in step.about]
    locks = [step for _, step in order if "/workers/" in step.about]
    begun = next(step.point for step in locks if step.call == "rename")
    # The last one: a dead worker's lock may be swept before.
    ended = [step.point for step in locks if step.call == "unlink"][-1]
    return [point for point, step in order if step.point.task != begun.task or begun < step.point <= ended]


def overtake(trial: Trial, point: Point | int | str) -> bool:
    """Freeze the first worker, its locks held, at one point; its leases run out, a second one does the work; then
    the first wakes up. Returns whether the second could work at all."""
    laboratory, product = trial.laboratory, trial.laboratory.product
    _, undisturbed = trial.undisturbed
    run, _ = trial.stop(point)
    laboratory.settings |= _IMPATIENT
    laboratory.environment = {"PGOPTIONS": "-c lock_timeout=100"}
    free = True
    try:
        free = records.leases_run_out(laboratory)
        seconds = laboratory.do(*trial.scenario.again, DRAIN)
        # PostgreSQL: the first may be about to insert the row that the second wants to, which nobody sees before.
        free = free and not any("lock timeout" in result.err for result in seconds)
        promises.nothing_is_partial(product, undisturbed)
        left = _left_by(laboratory)
        woken = laboratory.thaw()
        assert woken.status == 0, woken
        for result in woken.results + (seconds if free else []):
            assert "fault in dropslot" not in result.err, result.err
        if free:
            _nothing_took_effect(left, _left_by(laboratory))
        else:
            laboratory.do(DRAIN)
        found = trial.ending()
        promises.nothing_is_lost(product, trial.scenario.dropped)
        promises.is_tidy(found)
        promises.delivered_once(found)
        promises.equal(found, undisturbed)
    except BaseException as error:
        error.add_note(f"{trial.scenario.name}: frozen before {run.steps[-1]}{'' if free else ' (locked)'}")
        raise
    return free


def _left_by(laboratory: Laboratory) -> dict[str, Any]:
    """Everything that a late worker could spoil: files by inode and content, and every row."""
    product = laboratory.product
    files: dict[str, dict[str, File | str]] = {name: _inodes(product.folder(name)) for name in FOLDERS}
    return files | {"studies": promises.published(product), "rows": records.dump(laboratory)}


def _inodes(folder: Path) -> dict[str, File | str]:
    found = promises.tree(folder)
    return {path: f"{digest} {os.lstat(folder / path).st_ino}" for path, digest in found.items()}


def _nothing_took_effect(left: dict[str, Any], now: dict[str, Any]) -> None:
    for name, before in left.items():
        if name != "rows":
            assert now[name] == before, f"{name} was changed by the worker that woke up"
        else:
            for table, rows in before.items():
                more = [row for row in now["rows"][table] if row not in rows]
                less = [row for row in rows if row not in now["rows"][table]]
                assert not more and not less, (
                    f"{table} was changed by the worker that woke up: {less} -> {more}"
                )
