"""What only PostgreSQL can do to an audit trail."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from databases import Database
from dropslot.audit import chain, locks
from dropslot.audit.chain import Entry
from dropslot.audit.verifying import verify
from trail import grow, recorded


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE dropslot_event",
        "TRUNCATE dropslot_event, dropslot_receipt CASCADE",
        "TRUNCATE dropslot_receipt",
        "MERGE INTO dropslot_event USING (SELECT 1) AS one ON seq = 1 WHEN MATCHED THEN DELETE",
        "SET session_replication_role = replica; DELETE FROM dropslot_event",
        "SET session_replication_role = replica; TRUNCATE dropslot_event",
    ],
)
def test_postgresqls_ways_around_a_delete_trigger_are_refused(postgres_database: Database, sql: str) -> None:
    grow(3)
    before = recorded()
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(sql)
    assert recorded() == before


def test_a_guard_that_is_switched_off_is_named(postgres_database: Database) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dropslot_event DISABLE TRIGGER dropslot_event_append_only")
    assert [fault.where for fault in verify.chain().faults] == ["trigger dropslot_event_append_only"]


def test_an_append_of_nothing_makes_nobody_wait(postgres_database: Database) -> None:
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            chain.append([])
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [locks.CHAIN])
            assert cursor.fetchone() == (True,)
    finally:
        other.close()


def test_the_lock_of_the_chain_is_held_until_commit_and_no_longer(postgres_database: Database) -> None:
    free = "SELECT pg_try_advisory_xact_lock(%s)"
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            chain.append([Entry("first")])
            cursor.execute(free, [locks.CHAIN])
            assert cursor.fetchone() == (False,)
        with other.cursor() as cursor:
            cursor.execute(free, [locks.CHAIN])
            assert cursor.fetchone() == (True,)
    finally:
        other.close()
