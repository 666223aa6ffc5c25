# mypy: disable-error-code="attr-defined"
"""What may take long is not done while the database is locked for others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection
from test_settling import half_done

from databases import Database
from dropslot.arrivals.delivery import pipeline, staged_checks
from dropslot.arrivals.intake import record
from dropslot.arrivals.intake.claim import Claim, new_id
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.upkeep import database as preparing
from dropslot.audit import locks
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.states import State
from dropslot.files import listing
from watched import folder_set

__all__ = ["half_done"]


def test_the_source_is_looked_at_again_before_the_transaction_that_intends(
    database: Database, half_done: tuple[Config, Arrival], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, arrival = half_done
    walk, locked = staged_checks.changed, []

    def watched(source: Path, known: listing.Listing) -> list[str]:
        locked.append((connection.in_atomic_block, Delivery.objects.exists()))
        return walk(source, known)

    monkeypatch.setattr(staged_checks, "changed", watched)
    pipeline.deliver_arrivals(config, [arrival])
    arrival.refresh_from_db()
    assert (arrival.state, locked) == (State.DONE, [(False, False)])


def test_a_source_that_changed_after_it_was_staged_intends_nothing(
    database: Database, half_done: tuple[Config, Arrival], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, arrival = half_done
    walk = staged_checks.changed

    def written_to(source: Path, known: listing.Listing) -> list[str]:
        (source / "x.dat").write_bytes(b"another")
        return walk(source, known)

    monkeypatch.setattr(staged_checks, "changed", written_to)
    pipeline.deliver_arrivals(config, [arrival])
    arrival.refresh_from_db()
    assert (arrival.state, arrival.intent) == (State.RETRYING, None)
    assert "x.dat grew from 1 to 7 bytes" in arrival.reason[0]
    assert not Delivery.objects.exists() and not (tmp_path / "to/x.dat").exists()


def test_names_of_senders_are_looked_up_before_the_transaction(
    database: Database, half_done: tuple[Config, Arrival], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def slow(uid: int) -> str:
        asked.append(connection.in_atomic_block)
        return str(uid)

    monkeypatch.setattr(record, "user_name", slow)
    folders = folder_set(tmp_path)
    claim = Claim(new_id(), folders, "y", False, 12345, 1, half_done[1].received_at)
    record.record_claims(half_done[0], [claim])
    assert asked == [False] and Arrival.objects.get(id=claim.id).sender == "12345"


def test_who_brings_the_tables_up_to_date_keeps_nobody_from_recording(
    postgres_database: Database, half_done: tuple[Config, Arrival]
) -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            cursor.execute("SELECT pg_advisory_lock(%s)", [locks.MIGRATIONS])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        pipeline.deliver_arrivals(half_done[0], [half_done[1]])
        half_done[1].refresh_from_db()
        assert half_done[1].state == State.DONE
        assert json.loads(Event.objects.get(kind="delivered").data)["outcomes"] == {"delivered": 1}
    finally:
        other.close()


def test_each_lock_has_a_number_of_its_own() -> None:
    numbers = [value for name, value in vars(locks).items() if name.isupper()]
    assert len(numbers) == len(set(numbers)) == 4
    assert preparing.locks is locks
