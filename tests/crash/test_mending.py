"""Killed at every step while damaged files are put back: no byte of either is lost, nothing is overwritten."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from killing import Trial
from laboratory import Command, Laboratory
from product import STUDY
from remote import AT_ONCE, to_server
from scenarios import Scenario
from stepping import Point
from test_remote import before

MEND: Command = ("mend",)
SENT = {"a": b"as it was sent", "up/b": b"the other one"}
DAMAGED = b"somebody wrote into it"
STRIDE = 1 if os.environ.get("EVERY_STEP") else 5


def _damaged(laboratory: Laboratory) -> None:
    product = laboratory.product
    if laboratory.sshd:
        product.configure({"study": STUDY | {"deliver": [to_server(laboratory, "")]}})
    product.drop("session", SENT)
    assert laboratory.do(("drain", "--now"))[0].status == 0
    (product.studies / "a").chmod(0o600)
    (product.studies / "a").write_bytes(DAMAGED)
    (product.studies / "up/b").unlink()
    assert laboratory.do(("verify", "--fixity"))[0].status == 1


def test_a_kill_while_mending_loses_and_overwrites_nothing(sqlite_laboratory: Laboratory) -> None:
    _kill_everywhere(sqlite_laboratory, STRIDE)


def test_a_kill_while_mending_on_postgresql(postgres_laboratory: Laboratory) -> None:
    _kill_everywhere(postgres_laboratory, 4 * STRIDE)


def test_a_kill_while_mending_at_a_server(remote_laboratory: Laboratory) -> None:
    """Before each request that gives, takes or moves a name, and a sample of the others."""
    trial = Trial(remote_laboratory, Scenario("mend-remote", _damaged, [], [MEND], [MEND], settings=AT_ONCE))
    requests = before(trial)
    names = [
        one for one in requests if one.startswith(("LINK", "REMOVE", "RENAME")) and "naming-x" not in one
    ]
    assert len(names) >= 2
    _kill(trial, [*names, *(one for one in requests[::STRIDE] if one not in names)])


def _kill_everywhere(laboratory: Laboratory, stride: int) -> None:
    trial = Trial(laboratory, Scenario("mend", _damaged, [], [MEND], [MEND]))
    _kill(trial, _points(trial, stride))


def _kill(trial: Trial, points: Sequence[Point | int | str]) -> None:
    laboratory = trial.laboratory
    for point in points:
        run, _ = trial.stop(point)
        laboratory.kill()
        try:
            _nothing_is_lost(laboratory.product.studies)
            _goes_on(laboratory)
        except AssertionError as error:
            error.add_note(f"killed before {run.steps[-1]}")
            raise


def _points(trial: Trial, stride: int) -> list[Point | int]:
    """All at which a name is given, taken or synced, and every so-many-th of the others."""
    steps, _ = trial.undisturbed
    wanted = ("renameat2", "linkat", "mkdirat", "fsync", "syncfs")
    names = {step.point for step in steps if step.call in wanted and "/studies" in step.about}
    sample = set(trial.points[::stride])
    return [point for point in trial.points if point in names or point in sample]


def _nothing_is_lost(studies: Path) -> None:
    """At the name is what was damaged, nothing, or what was sent, whole; what was damaged is somewhere."""
    shown = studies / "a"
    assert not shown.exists() or shown.read_bytes() in (DAMAGED, SENT["a"])
    other = studies / "up/b"
    assert not other.exists() or other.read_bytes() == SENT["up/b"]
    kept = [path for path in studies.rglob("*") if path.is_file() and path.read_bytes() == DAMAGED]
    assert kept, "the damaged bytes are gone"


def _goes_on(laboratory: Laboratory) -> None:
    studies = laboratory.product.studies
    (ended,) = laboratory.do(MEND)
    assert ended.status == 0, ended
    assert {name: (studies / name).read_bytes() for name in SENT} == SENT
    aside = [path for path in (studies / ".dropslot" / "damaged").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in aside] == [DAMAGED]
    assert not list((studies / ".dropslot").glob("stage/*"))
    listed, verified = laboratory.do(("events", "--json", "--kind", "mended"), ("verify", "--fixity"))
    assert verified.status == 0, verified
    found = {each["data"]["stored_as"]: each["data"] for each in listed.objects}
    assert len(listed.objects) == 2 and found["a"]["delivered"] == sha256(SENT["a"]).hexdigest()
    assert found["a"]["found"] == sha256(DAMAGED).hexdigest() and found["up/b"]["found"] == ""
    assert (studies / found["a"]["set_aside"]).read_bytes() == DAMAGED
