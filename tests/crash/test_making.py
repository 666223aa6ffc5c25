"""Killed while items are made anew, whose maker never makes the same twice: what is delivered was made at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import promises
from killing import Trial
from laboratory import DRAIN, Laboratory
from product import STUDY
from scenarios import Scenario
from stepping import Point

SHARDS = 2
STRIDE = 1 if os.environ.get("EVERY_STEP") else 3
RANDOM = """
import os
from dropslot.contents.makers import Maker

class Random(Maker):
    def __init__(self, option=None):
        self.token = os.urandom(8).hex().encode()  # another one in each process

    def make(self, item, out):
        with item.open() as stream:
            out.write(self.token + stream.read())
"""
SENT = {"a": b"one", "up/b": b"two", "up/more/c": b"three"}


def _sent(laboratory: Laboratory) -> None:
    product = laboratory.product
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "making.py").write_text(RANDOM)
    (product.studies / "up").mkdir()
    (product.studies / "up" / "of-others").touch()
    product.configure({"study": STUDY | {"made_by": {"making.Random": None}}}).drop("session", SENT)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_kill_mixes_no_bytes_of_two_makings(sqlite_laboratory: Laboratory, shard: int) -> None:
    trial = Trial(sqlite_laboratory, Scenario("made-anew", _sent, list(SENT.values())))
    for point in _points(trial)[shard::SHARDS]:
        run, _ = trial.stop(point)
        sqlite_laboratory.kill()
        try:
            _goes_on(trial)
        except AssertionError as error:
            error.add_note(f"killed before {run.steps[-1]}")
            raise


def _points(trial: Trial) -> list[Point | int]:
    """All at which a name is given or synced, and every STRIDE-th of the others."""
    steps, _ = trial.undisturbed
    names = {step.point for step in steps if step.call in ("renameat2", "linkat", "fsync")}
    sample = set(trial.points[::STRIDE])
    return trial.thinned([point for point in trial.points if point in names or point in sample])


def _goes_on(trial: Trial) -> None:
    product = trial.laboratory.product
    promises.nothing_is_lost(product, SENT.values())
    published = promises.published(product)
    (ended,) = trial.laboratory.do(DRAIN)
    assert ended.status == 0, ended
    promises.nothing_is_changed(published, promises.published(product))
    found = trial.ending()
    promises.is_tidy(found)
    promises.delivered_once(found)
    assert not list((product.root / "var" / "made").glob("*"))
    made = {name: (product.studies / name).read_bytes() for name in SENT}
    (token,) = {data[:16] for data in made.values()}
    assert made == {name: token + data for name, data in SENT.items()}
    assert len(found.history) == len(SENT)
    assert {str(path) for path in Path(product.folder("done") / "session").rglob("*") if path.is_file()} == {
        str(product.folder("done") / "session" / name) for name in SENT
    }
