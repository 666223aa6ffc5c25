# mypy: disable-error-code="func-returns-value"
"""What becomes of an attempt that went wrong in a way that nobody foresaw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from databases import Database
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.delivery import finish, pipeline, prepare
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake.claim import new_id
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.workers import leases
from dropslot.audit.models import Receipt
from dropslot.config import Config, from_mapping
from dropslot.core.errors import DestinationUnready, Refused
from dropslot.core.states import State
from dropslot.destinations.base import Planned
from dropslot.destinations.local.drop import LocalDrop
from watched import folder_set


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return from_mapping({"routes": {"r": {"folders": "./r", "deliver": [{"to": "./to"}]}}}, tmp_path)


def at_work(base: Path, **columns: object) -> Arrival:
    """An arrival that a worker holds, in the database."""
    known = {
        "id": new_id(),
        "route": "r",
        "inbox": str(folder_set(base).inbox),
        "name": "scan",
        "name_bytes": b"scan",
        "is_folder": True,
        "state": State.PROCESSING,
        "worker": "elsewhere:1:a",
        "epoch": 1,
        "attempts": 1,
        "received_at": datetime.now(UTC),
    }
    return Arrival.objects.create(**known | columns)


def test_refusal_whose_staging_cannot_be_removed_waits(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_work: Work) -> None:
        raise DestinationUnready("It is mounted read-only")

    monkeypatch.setattr(finish, "remove_staging", broken)
    pipeline.settle(prepare.begin_work(config, at_work(tmp_path), {}), Refused(["it is bad"]))
    arrival = Arrival.objects.get()
    assert (arrival.state, arrival.reason) == (State.RETRYING, ["It is mounted read-only."])


def test_fault_in_one_step_of_one_arrival_is_its_own(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_work: Work, *, is_alone: bool) -> None:
        assert is_alone
        raise RecursionError("too deep")

    monkeypatch.setattr(prepare, "prepare_arrival", broken)
    pipeline.deliver_arrivals(config, [at_work(tmp_path)])
    arrival = Arrival.objects.get()
    assert arrival.state == State.RETRYING
    assert "RecursionError: too deep" in arrival.reason[0]


def test_fault_of_a_whole_batch_is_waited_for(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_works: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "_groups", broken)
    pipeline.deliver_arrivals(config, [at_work(tmp_path), at_work(tmp_path)])
    assert set(Arrival.objects.values_list("state", flat=True)) == {State.RETRYING}


def test_arrival_that_killed_workers_again_and_again_waits_for_its_lease(
    database: Database, tmp_path: Path
) -> None:
    lease = Now() + timedelta(seconds=60)
    killer = at_work(tmp_path, attempts=5, lease_until=lease)
    unlucky = at_work(tmp_path, attempts=1, lease_until=lease)

    def taken() -> list[str]:
        return [arrival.id for arrival in leases.take_next("here:1:a", timedelta(seconds=60), lambda _: True)]

    assert taken() == [unlucky.id]
    Arrival.objects.filter(id=killer.id).update(lease_until=Now() - timedelta(seconds=1))
    assert taken() == [killer.id]
    assert connection.vendor == database.vendor


def test_after_three_attempts_few_are_taken_together_and_after_five_one(
    database: Database, tmp_path: Path
) -> None:
    """What killed the worker of a whole batch was perhaps something else than the arrivals."""
    rows = [at_work(tmp_path, attempts=3, worker="gone") for _ in range(10)]

    def taken() -> list[str]:
        return [row.id for row in leases.take_next("here:1:a", timedelta(seconds=60), lambda _: True)]

    assert taken() == [row.id for row in rows[: leases.FEW]]
    Arrival.objects.update(attempts=5)
    assert taken() == [rows[0].id]
    assert connection.vendor == database.vendor


def test_a_worker_is_asked_for_once_however_much_it_has_in_hand(database: Database, tmp_path: Path) -> None:
    for _ in range(3):
        at_work(tmp_path, worker="there:1:b", lease_until=Now() + timedelta(seconds=60))
    asked: list[str] = []

    def is_dead(name: str) -> bool:
        asked.append(name)
        return False

    leases.take_next("here:1:a", timedelta(seconds=60), is_dead)
    assert asked == ["there:1:b"]
    assert connection.vendor == database.vendor


def test_messages_that_name_an_arrival_twice_or_late_take_it_once(database: Database, tmp_path: Path) -> None:
    rows = [at_work(tmp_path, worker="gone") for _ in range(3)]

    def take(arrival: str, worker: str) -> list[str]:
        lease, dead = timedelta(seconds=60), {"gone"}
        taken = leases.take_announced([arrival], rows[0].route, worker, lease, dead.__contains__)
        assert all(each.epoch == rows[0].epoch + 1 for each in taken)
        return [each.id for each in taken]

    Arrival.objects.filter(id=rows[2].id).update(state=State.DONE, finished_at=Now())
    assert take(rows[1].id, "here:1:a") == [rows[0].id, rows[1].id]  # and what else is small and due there
    for row in rows:
        assert take(row.id, "here:2:b") == []
    assert take("0" * 26, "here:2:b") == []
    assert connection.vendor == database.vendor


def lying_in_processing(base: Path, **columns: object) -> tuple[Arrival, Path]:
    """An arrival of which all is recorded, and the folder that it was not moved out of yet."""
    folders = folder_set(base)
    arrival = at_work(base, archived_as=str(folders.done / "scan"), **columns)
    holding = folders.processing / f"{arrival.id}-1"
    (holding / "scan").mkdir(parents=True)
    return arrival, holding


def test_archive_that_is_missing_is_told_and_waited_for(database: Database, tmp_path: Path) -> None:
    folders = folder_set(tmp_path)
    arrival, holding = lying_in_processing(tmp_path, state=State.DONE)
    with pytest.raises(FileNotFoundError):
        finish.archive_folder(folders, arrival, holding)
    assert (holding / "scan").is_dir()
    folders.done.mkdir()
    finish.archive_folder(folders, arrival, holding)
    finish.archive_folder(folders, arrival, holding)
    assert (folders.done / "scan").is_dir() and not holding.exists()


def test_what_is_not_archived_yet_goes_to_the_archive_that_is_configured_now(
    database: Database, tmp_path: Path
) -> None:
    arrival, holding = lying_in_processing(tmp_path, state=State.DONE)
    (tmp_path / "archive").mkdir()
    elsewhere = replace(folder_set(tmp_path), done=tmp_path / "archive")
    finish.archive_folder(elsewhere, arrival, holding)
    assert (tmp_path / "archive/scan").is_dir() and not holding.exists()
    assert Arrival.objects.get().archived_as == str(tmp_path / "archive/scan")


def test_folder_for_what_failed_that_is_missing_is_told_and_waited_for(
    database: Database, config: Config, tmp_path: Path
) -> None:
    folders = folder_set(tmp_path)
    arrival, holding = lying_in_processing(tmp_path, state=State.FAILED, reason=["it is bad"])
    with pytest.raises(FileNotFoundError):
        finish.file_refused(config, folders, arrival, holding)
    folders.failed.mkdir()
    for _ in range(2):
        finish.file_refused(config, folders, arrival, holding)
    assert "it is bad" in (folders.failed / arrival.id / "REASON.txt").read_text()
    assert (folders.failed / arrival.id / "scan").is_dir() and not holding.exists()


def test_destination_that_fails_is_retried_by_itself(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    rules = [{"to": "./a"}, {"to": "./b"}]
    config = from_mapping({"data": "./var", "routes": {"r": {"folders": "./r", "deliver": rules}}}, tmp_path)
    settings.DROPSLOT = config  # receipts are signed with its key
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir(), b.mkdir()
    arrival, holding = lying_in_processing(tmp_path)
    (holding / "scan/x.dat").write_bytes(b"1")
    publish, stage = LocalDrop.publish, LocalDrop.stage
    staged: list[str] = []

    def away(drop: LocalDrop, plan: Sequence[Planned]) -> list[Planned]:
        if drop.target.url == str(b) and len(staged) == 2:
            raise DestinationUnready("It is away")
        return publish(drop, plan)

    def counted(drop: LocalDrop, *args: Any, **options: Any) -> Any:
        staged.append(drop.target.url)
        return stage(drop, *args, **options)

    monkeypatch.setattr(LocalDrop, "publish", away)
    monkeypatch.setattr(LocalDrop, "stage", counted)
    pipeline.deliver_arrivals(config, [arrival])
    arrival.refresh_from_db()
    assert (arrival.state, arrival.reason) == (State.RETRYING, ["It is away."])
    assert (
        (a / "x.dat").read_bytes() == b"1"
        and list(a.glob(".dropslot/manifests/*"))
        and not (b / "x.dat").exists()
    )
    a.rename(tmp_path / "unplugged")  # the one that is complete is not asked again
    arrival.due_at = None
    arrival.save()
    [again] = leases.take_next("here:1:a", timedelta(seconds=60), lambda _: False)
    pipeline.deliver_arrivals(config, [again])
    again.refresh_from_db()
    assert again.state == State.DONE and staged == [str(a), str(b), str(b)]
    assert (b / "x.dat").read_bytes() == b"1"
    rows = Delivery.objects.filter(arrival=again).order_by("place__url").values_list("place__url", "outcome")
    assert list(rows) == [(str(a), "delivered"), (str(b), "delivered")]
    receipt = json.loads(Receipt.objects.get().body)
    assert receipt["outcomes"] == {"delivered": 2} and set(receipt["manifests"]) == {str(a), str(b)}


@pytest.fixture
def half_done(tmp_path: Path, settings: Any) -> tuple[Config, Arrival]:
    """A route to `./to`, and an arrival that is to go there."""
    config = from_mapping(
        {"data": "./var", "routes": {"r": {"folders": "./r", "deliver": [{"to": "./to"}]}}}, tmp_path
    )
    settings.DROPSLOT = config  # receipts are signed with its key
    (tmp_path / "to").mkdir()
    arrival, holding = lying_in_processing(tmp_path)
    (holding / "scan/x.dat").write_bytes(b"1")
    return config, arrival


def deliver_again(config: Config, arrival: Arrival) -> None:
    arrival.refresh_from_db()
    assert arrival.state == State.RETRYING
    arrival.due_at = None
    arrival.save()
    [again] = leases.take_next("here:1:a", timedelta(seconds=60), lambda _: False)
    pipeline.deliver_arrivals(config, [again])
    arrival.refresh_from_db()


def fails_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The first call of this step of a destination does its work, and then the destination is away."""
    step, calls = getattr(LocalDrop, name), []

    def away_afterwards(drop: LocalDrop, *args: Any) -> Any:
        calls.append(name)
        if name == "clean" and len(calls) == 1:
            raise DestinationUnready("It is away")
        done = step(drop, *args)
        if len(calls) == 1:
            raise DestinationUnready("It is away")
        return done

    monkeypatch.setattr(LocalDrop, name, away_afterwards)


def fetched_before_done(config: Config, arrival: Arrival, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """Published, and acknowledged, and then the worker could not go on."""
    fails_once(monkeypatch, "publish")
    pipeline.deliver_arrivals(config, [arrival])
    now, row = datetime.now(UTC), Delivery.objects.get()
    Acknowledgment.objects.create(
        id=new_id(), delivery=row, user="c", address="", at=now, log="", line=b"", recorded_at=now
    )
    return row


def test_what_was_fetched_before_its_arrival_was_done_holds_nothing_up(
    database: Database,
    half_done: tuple[Config, Arrival],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, arrival = half_done
    row = fetched_before_done(config, arrival, monkeypatch)
    deliver_again(config, arrival)
    assert arrival.state == State.DONE, arrival.reason
    assert Acknowledgment.objects.get().delivery_id == Delivery.objects.get().id == row.id


def test_what_was_fetched_and_then_replaced_stays_known_beside_the_next_version(
    database: Database,
    half_done: tuple[Config, Arrival],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, arrival = half_done
    row = fetched_before_done(config, arrival, monkeypatch)
    (published,) = (tmp_path / "to").rglob("*.dat")
    published.unlink()
    published.write_bytes(b"of somebody else")
    deliver_again(config, arrival)
    assert arrival.state == State.DONE, arrival.reason
    assert published.read_bytes() == b"of somebody else"
    assert published.with_name("x.v2.dat").read_bytes() == b"1"
    rows = Delivery.objects.order_by("version").values_list("stored_as", "version", "outcome")
    assert [*rows] == [("x.dat", 1, "delivered"), ("x.v2.dat", 2, "delivered")]
    assert Acknowledgment.objects.get().delivery_id == row.id


def test_staging_that_could_not_be_removed_at_first_holds_nothing_up(
    database: Database, half_done: tuple[Config, Arrival], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, arrival = half_done
    fails_once(monkeypatch, "clean")
    pipeline.deliver_arrivals(config, [arrival])
    deliver_again(config, arrival)
    assert arrival.state == State.DONE, arrival.reason
