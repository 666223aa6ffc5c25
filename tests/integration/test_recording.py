# mypy: disable-error-code="func-returns-value, arg-type"
"""Claims become rows: once, whoever else records them, and one that cannot be recorded holds up no other."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection, transaction

from databases import Database
from dropslot.arrivals.deliver import Claiming, Deliver
from dropslot.arrivals.intake import record
from dropslot.arrivals.intake.claim import Claim, new_id
from dropslot.arrivals.models import Arrival
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.core import context
from dropslot.core.states import State
from dropslot.watching.file_events import IN_ISDIR, IN_MOVED_TO, event
from product import write_tree
from waiting import wait_until
from watched import folder_set


@pytest.fixture
def config(tmp_path: Path) -> Config:
    routes = {"r": {"folders": "./r", "deliver": [{"to": "./to"}]}}
    return from_mapping({"routes": routes, "locations": {"pc": "Room 1"}}, tmp_path)


def claimed(base: Path, entry: str = "scan", arrival: str = "", **route: object) -> Claim:
    folders = folder_set(base, **route)
    return Claim(arrival or new_id(), folders, entry, True, 0, None, datetime.now(UTC))


def row_of(claim: Claim, config: Config, state: State) -> Arrival:
    return Arrival(id=claim.id, state=state, **record.describe(config, claim) | {"epoch": 1})


def test_arrival_at_work_is_not_made_ready_by_who_records_it_again(
    postgres_database: Database, config: Config, tmp_path: Path
) -> None:
    claim = claimed(tmp_path)
    other = threading.Thread(target=_record, args=(config, claim))
    with transaction.atomic():
        row_of(claim, config, State.PROCESSING).save(force_insert=True)
        other.start()  # sees no row, and waits for this transaction
        wait_until(_somebody_waits_for_a_lock, what="the other recording to wait")
    other.join(60)
    assert Arrival.objects.get(id=claim.id).state == State.PROCESSING
    assert not Event.objects.filter(kind="claimed").exists()


def _record(config: Config, claim: Claim) -> None:
    record.record_claims(config, [claim])
    connection.close()


def _somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_entry_that_waited_gets_all_that_is_known_of_it(
    database: Database, config: Config, tmp_path: Path
) -> None:
    claim = claimed(tmp_path, "pc-1", name="(?P<location>pc)-.*")
    Arrival.objects.create(
        id=claim.id, route="r", inbox=str(claim.folders.inbox), name="pc-1", name_bytes=b"pc-1", is_folder=False,
        sender="somebody", state=State.WAITING, reason=["not readable"], received_at=datetime.now(UTC),
    )  # fmt: skip
    record.record_claims(config, [claim])
    row = Arrival.objects.get(id=claim.id)
    assert (row.state, row.reason, row.is_folder, row.sender) == (State.READY, [], True, "root")
    assert (row.fields, row.location) == ({"location": "pc"}, "Room 1")
    assert Event.objects.filter(kind="claimed", arrival=claim.id).count() == 1


def test_claim_that_cannot_be_recorded_holds_up_no_other(
    database: Database, config: Config, tmp_path: Path
) -> None:
    odd, good = claimed(tmp_path, arrival="X" * 27), claimed(tmp_path)  # no such id fits an event
    recorder = record.Recorder(config)
    recorder.put(odd)
    recorder.put(good)
    recorder.start()
    recorder.flush(10)
    assert Arrival.objects.get().id == good.id
    assert recorder.pending == 1
    recorder.put(later := claimed(tmp_path))
    wait_until(lambda: Arrival.objects.filter(id=later.id).exists(), what="the later claim's row")
    recorder.close()


def test_id_that_another_process_used_is_not_used_for_the_next_entry_of_that_name(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A claim under the id of a finished arrival would be taken for its left-over, and archived undelivered.
    recorder = record.Recorder(config)
    context.put(Claiming(recorder, trust_names=False))
    done = claimed(tmp_path)
    row_of(done, config, State.WAITING).save(force_insert=True)
    processor = Deliver(done.folders)
    Arrival.objects.update(state=State.DONE)  # drain, beside us, took and delivered it
    write_tree(done.folders.inbox / "scan", {"a": b"1"})
    processor.on_moved(event(IN_MOVED_TO | IN_ISDIR, str(done.folders.inbox), "scan"))
    processor.on_wake()
    assert not recorder.pending
    assert not any(done.folders.processing.iterdir())
    wait_until(lambda: processor.on_wake() or recorder.pending, what="the entry to be taken")
    [holding] = done.folders.processing.iterdir()
    assert not holding.name.startswith(done.id)


def test_change_in_place_while_it_is_at_work_is_a_revision_afterwards(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claimed(tmp_path, leave_source=True, settle="0s")
    row_of(first, config, State.PROCESSING).save(force_insert=True)
    recorder = record.Recorder(config)
    context.put(Claiming(recorder, trust_names=False))
    processor = Deliver(first.folders)
    (first.folders.inbox / "scan").write_bytes(b"changed")

    def looked() -> bool:
        with os.scandir(first.folders.inbox) as entries:
            processor.on_scan(list(entries))
        processor.on_wake()
        return processor.completion.waiting() == []

    wait_until(looked, what="the entry to be judged")
    assert not recorder.pending
    Arrival.objects.update(state=State.DONE)
    wait_until(lambda: looked() and recorder.pending, what="the revision to be taken")


def test_entry_in_place_that_is_at_work_is_waited_for_by_no_drain(
    database: Database, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claimed(tmp_path, leave_source=True, settle="0s")
    row_of(first, config, State.PROCESSING).save(force_insert=True)
    context.put(Claiming(record.Recorder(config), trust_names=False))
    processor = Deliver(first.folders)
    (first.folders.inbox / "scan").write_bytes(b"as it is read now")
    with os.scandir(first.folders.inbox) as entries:
        processor.on_scan(list(entries))

    def judged() -> bool:
        processor.on_wake()
        return processor.completion.waiting() == []

    wait_until(judged, what="the entry to be judged")
    assert processor.wake() is None, "the next rescan looks again"
