"""What a receiver keeps that only acknowledges, beside what the pipeline makes of it (test_own_destinations)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from contract.courier import Courier
from contract.destination_contract import ID, SMALL, make, plan_of, source_of, stage
from dropslot.core.errors import SourceChanged, TakenOver, Unsupported
from dropslot.destinations.base import ONLY_ACKNOWLEDGED, Planned, Target

PACS = "courier://pacs"


@pytest.fixture
def courier(tmp_path: Path) -> Courier:
    return Courier(tmp_path / "journal", tmp_path / "spool")


@pytest.fixture
def target() -> Target:
    return Target(f"{PACS}/visit", PACS)


def acknowledged(courier: Courier) -> dict[str, str]:
    """The names in the journal, with their digests."""
    lines = courier.journal.read_text().splitlines() if courier.journal.exists() else []
    return {said["name"]: said["sha256"] for said in map(json.loads, lines)}


def spooled(courier: Courier) -> list[str]:
    return [name for _, _, names in os.walk(courier.spool) for name in names]


def test_every_item_is_acknowledged_once_with_its_digest(
    courier: Courier, target: Target, arrival: Path
) -> None:
    with courier.open(target, ID, 1, "arrival") as drop:
        drop.discard_older()
        plan = stage(drop, arrival)
        assert acknowledged(courier) == {}
        assert (drop.publish(plan), drop.publish_manifest("x")) == ([], None)
        assert ONLY_ACKNOWLEDGED in (drop.proved or ())
        drop.clean()
    assert acknowledged(courier) == {planned.stored_as: planned.sha256 for planned in plan}
    assert len(courier.journal.read_text().splitlines()) == len(SMALL)
    assert spooled(courier) == []


def test_nothing_of_it_can_be_looked_at(courier: Courier, target: Target, arrival: Path) -> None:
    assert deliver_to(courier, target, arrival) == []
    with courier.open(target, ID, 2, "arrival") as drop:
        assert (drop.is_new(), drop.stored("a.txt"), drop.digest("a.txt")) == (True, None, None)
    assert courier.listing(target, "") == {}
    with pytest.raises(Unsupported, match="only acknowledges"):
        courier.read(target, "a.txt")


def deliver_to(courier: Courier, target: Target, arrival: Path) -> list[Planned]:
    with courier.open(target, ID, 1, "arrival") as drop:
        taken = drop.publish(stage(drop, arrival))
        drop.clean()
    return taken


def test_a_worker_that_was_taken_over_sends_nothing(courier: Courier, target: Target, arrival: Path) -> None:
    old = courier.open(target, ID, 1, "arrival")
    plan = stage(old, arrival)
    with courier.open(target, ID, 2, "arrival") as new:
        new.discard_older()
        with pytest.raises(TakenOver):
            old.publish(plan)
        assert acknowledged(courier) == {}
        assert new.publish(stage(new, arrival)) == []
        old.clean()
        new.clean()
    assert acknowledged(courier).keys() == SMALL.keys()
    assert spooled(courier) == []


def test_a_source_that_changed_is_not_sent(courier: Courier, target: Target, arrival: Path) -> None:
    source = source_of(arrival)
    (arrival / "a.txt").write_bytes(b"longer than before")
    with courier.open(target, ID, 1, "arrival") as drop:
        with pytest.raises(SourceChanged):
            drop.stage(source)
        drop.clean()
    assert acknowledged(courier) == {}
    assert spooled(courier) == []


def test_only_the_payload_of_a_bag_is_sent(courier: Courier, target: Target, tmp_path: Path) -> None:
    bag = make(tmp_path / "bag", {"bagit.txt": b"1", "data/x": b"2"})
    with courier.open(target, ID, 1, "bag") as drop:
        staged = {item.path: item for item in drop.stage(source_of(bag), ("sha256",), "data/")}
        with pytest.raises(ValueError, match="outside"):
            drop.publish(plan_of([staged["bagit.txt"]]))
        assert drop.publish([Planned("data/x", "x", staged["data/x"].sha256)]) == []
        drop.clean()
    assert acknowledged(courier) == {"x": staged["data/x"].sha256}
