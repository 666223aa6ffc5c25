"""What only SQLite can do to an audit trail, and other people's ways to use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction

from databases import Database, connected_to, sqlite_settings
from dropslot.audit import chain
from dropslot.audit.chain import Entry
from dropslot.audit.models import Receipt
from dropslot.audit.verifying import verify
from trail import ARRIVAL, grow, recorded, tamper, write_at_once


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO dropslot_event VALUES (1, '', '', '', '{}', '')",
        "INSERT OR REPLACE INTO dropslot_event (rowid,seq,at,kind,arrival,data,hash) VALUES (1, 9, 1, 1, 1, 1, 1)",
        "UPDATE OR REPLACE dropslot_event SET seq = 2 WHERE seq = 1",
        f"INSERT OR REPLACE INTO dropslot_receipt VALUES ('{ARRIVAL}', '', '')",
    ],
)
def test_sqlites_ways_around_a_delete_trigger_are_refused(sqlite_database: Database, sql: str) -> None:
    grow(3)
    Receipt.objects.create(arrival=ARRIVAL, body="{}", signature="")
    before = recorded()
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(sql)
    assert recorded() == before


def test_writers_at_once_make_one_chain_where_transactions_begin_deferred(sqlite_database: Database) -> None:
    options = {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}
    with connected_to({**sqlite_database.settings, "OPTIONS": options}):
        assert write_at_once(4, 20) == []
        report = verify.chain()
    assert report.ok and report.checked == 160


def test_an_open_append_keeps_other_writers_waiting(sqlite_database: Database) -> None:
    with transaction.atomic():
        chain.append([Entry("first")])
        other = connection.copy()
        try:
            other.settings_dict = {**other.settings_dict, "OPTIONS": {"timeout": 0}}
            with pytest.raises(Exception, match="locked"), other.cursor() as cursor:
                cursor.execute("UPDATE dropslot_event SET seq = seq WHERE 0")
        finally:
            other.close()


def test_the_trail_works_in_a_second_database(sqlite_database: Database, tmp_path: Path) -> None:
    connections.settings["audit_elsewhere"] = connections.configure_settings(
        {"default": sqlite_database.settings, "audit_elsewhere": sqlite_settings(tmp_path / "other.sqlite3")}
    )["audit_elsewhere"]
    try:
        call_command("migrate", "dropslot_audit", database="audit_elsewhere", verbosity=0)
        with transaction.atomic(using="audit_elsewhere"):
            head = chain.append([Entry("there")], using="audit_elsewhere")
        assert chain.head(using="audit_elsewhere") == head
        assert verify.chain(using="audit_elsewhere").checked == 1
        assert verify.chain().checked == 0
    finally:
        connections["audit_elsewhere"].close()
        del connections["audit_elsewhere"]
        del connections.settings["audit_elsewhere"]


@pytest.mark.parametrize("value", [None, 7, b"\xff\x00", "text"])
@pytest.mark.parametrize("column", ["at", "kind", "arrival", "data", "hash"])
def test_values_of_any_type_that_an_editor_puts_in_are_found(
    sqlite_database: Database, column: str, value: object
) -> None:
    grow(3)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA writable_schema = 1")
        cursor.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'dropslot_event'"
        )
        cursor.execute("PRAGMA writable_schema = RESET")
    tamper(f"UPDATE dropslot_event SET {column} = %s WHERE seq = 2", (value,))
    report = verify.chain()
    assert report.faults and report.faults[0].where in ("event 2", "event 3")


def test_bytes_that_are_no_text_are_a_fault_and_not_a_crash(sqlite_database: Database) -> None:
    grow(3)
    tamper("UPDATE dropslot_event SET data = CAST(x'7bff7d' AS TEXT) WHERE seq = 2")
    report = verify.chain()
    assert not report.ok and "cannot be read" in report.faults[0].what
