"""What only PostgreSQL can do to an audit trail."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from databases import Database
from dropslot.audit import chain, locks, partitions, triggers
from dropslot.audit.chain import Entry
from dropslot.audit.verifying import verify
from dropslot.core.errors import DropslotError
from trail import give_receipt, grow, recorded, tamper


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


def test_each_partition_of_the_trail_is_guarded_like_the_whole(
    postgres_database: Database, tmp_path: Path
) -> None:
    """The second time, the newest partition is divided. What is recorded afterwards goes on with the same chain."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reader_of_trail; GRANT SELECT ON dropslot_event TO reader_of_trail")
    names = []
    for number in range(2):
        give_receipt(tmp_path, grow(3), number)
        names += [one.name for one in partitions.begin()]
        assert partitions.begin() == [], "nothing was recorded since"
    assert names == ["dropslot_event_2", "dropslot_receipt_2", "dropslot_event_3", "dropslot_receipt_3"]
    give_receipt(tmp_path, grow(3), 2)
    before = recorded()
    assert verify.chain().ok and [len(rows) for rows in before] == [9, 3]
    for table, key in triggers.GUARDED:
        for part in (table, *(f"{table}_{number}" for number in (1, 2, 3))):
            for change in (f"UPDATE {part} SET {key} = {key}", f"DELETE FROM {part}", f"TRUNCATE {part}"):
                for role in ("origin", "replica"):
                    sql = f"SET session_replication_role = {role}; {change}"
                    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
                        cursor.execute(sql)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = origin; SET ROLE reader_of_trail")
        cursor.execute("SELECT count(*) FROM dropslot_event")
        assert cursor.fetchone() == (9,)
        cursor.execute("RESET ROLE; DROP TRIGGER dropslot_event_no_truncate ON dropslot_event_2")
    assert recorded() == before
    missing = ["trigger dropslot_event_no_truncate of dropslot_event_2"]
    assert [fault.where for fault in verify.chain().faults] == missing
    tamper("UPDATE dropslot_event SET kind = 'forged' WHERE seq = 4")
    assert [fault.where for fault in verify.chain().faults] == ["event 4"]


def test_who_partitions_the_trail_gives_way_to_those_who_read_it(postgres_database: Database) -> None:
    grow(3)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; SELECT * FROM dropslot_event")
            with pytest.raises(DropslotError, match="holds a table"):
                partitions.begin(patience_seconds=0)
    finally:
        other.close()
    assert verify.chain().ok and grow(1).seq == 4


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
