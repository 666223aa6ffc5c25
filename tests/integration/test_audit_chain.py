"""The chain of events, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from dropslot.audit import chain, triggers
from dropslot.audit.chain import GENESIS, Entry, Head
from dropslot.audit.models import Event, Receipt
from dropslot.audit.verifying import verify
from trail import ARRIVAL, grow, recorded, write_at_once

pytestmark = pytest.mark.usefixtures("database")


def test_each_hash_is_sha256_over_the_hash_before_and_the_canonical_entry() -> None:
    head = grow(3)
    previous = "0" * 64
    for event in Event.objects.all():
        entry = {key: getattr(event, key) for key in ("seq", "at", "kind", "arrival")}
        entry["data"] = json.loads(event.data)
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert event.hash == sha256((previous + text).encode()).hexdigest()
        previous = event.hash
    assert head == Head(3, previous)


def test_numbers_go_on_without_gaps_over_transactions() -> None:
    heads = [grow(2), grow(1), chain.head()]
    assert [head.seq for head in heads] == [2, 3, 3]
    assert list(Event.objects.values_list("seq", flat=True)) == [1, 2, 3]


@pytest.mark.sqlite_only
def test_an_empty_chain_has_the_genesis_head() -> None:
    with transaction.atomic():
        assert chain.append([]) == GENESIS


def test_what_is_rolled_back_leaves_no_event_and_no_gap() -> None:
    grow(1)
    with pytest.raises(RuntimeError), transaction.atomic():
        chain.append([Entry("lost")])
        raise RuntimeError
    assert grow(1).seq == 2
    assert verify.chain().ok


def test_a_savepoint_that_is_rolled_back_takes_its_events_with_it() -> None:
    with transaction.atomic():
        chain.append([Entry("kept")])
        with pytest.raises(RuntimeError), transaction.atomic():
            chain.append([Entry("lost")])
            raise RuntimeError
        chain.append([Entry("kept too")])
    assert list(Event.objects.values_list("kind", flat=True)) == ["kept", "kept too"]
    assert verify.chain().ok


def test_append_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(TransactionManagementError):
        chain.append([Entry("x")])


def test_writers_at_once_make_one_chain() -> None:
    assert write_at_once(4, 20) == []
    report = verify.chain()
    assert report.ok and report.checked == 160


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE dropslot_event SET kind = 'x' WHERE seq = 1",
        "DELETE FROM dropslot_event WHERE seq = 3",
        "DELETE FROM dropslot_event",
        "INSERT INTO dropslot_event VALUES (1, '', '', '', '', '') ON CONFLICT (seq) DO UPDATE SET kind = 'x'",
        "UPDATE dropslot_receipt SET body = 'x'",
        "DELETE FROM dropslot_receipt",
    ],
)
def test_the_database_refuses_to_change_what_was_recorded(sql: str) -> None:
    grow(3)
    Receipt.objects.create(arrival=ARRIVAL, body="{}", signature="")
    before = recorded()
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(sql)
    assert recorded() == before


def test_django_itself_is_refused_too() -> None:
    grow(2)
    with pytest.raises(IntegrityError):
        Event.objects.filter(seq=1).update(kind="x")
    with pytest.raises(IntegrityError):
        Event.objects.all().delete()
    event = Event.objects.get(seq=1)
    event.kind = "x"
    with pytest.raises(IntegrityError):
        event.save()


@pytest.mark.sqlite_only
def test_bytes_of_a_name_that_are_no_utf8_are_recorded_as_escapes() -> None:
    with transaction.atomic():
        chain.append([Entry("refused", "", {"name": b"caf\xe9".decode("utf-8", "surrogateescape")})])
    assert json.loads(Event.objects.get().data) == {"name": "caf\\udce9"}
    assert verify.chain().ok


@pytest.mark.parametrize("data", [{1: "a"}, {"a": float("nan")}, {"a": object()}, {"a": {None: 1}}])
@pytest.mark.sqlite_only
def test_data_that_json_does_not_have_is_refused_before_anything_is_written(data: Any) -> None:
    with pytest.raises((TypeError, ValueError)), transaction.atomic():
        chain.append([Entry("good"), Entry("bad", "", data)])
    assert chain.head() == GENESIS


def test_guards_that_are_gone_are_named_and_can_be_put_back() -> None:
    assert triggers.missing(connection) == []
    with connection.schema_editor() as editor:
        triggers.drop(None, editor)
    names = triggers.missing(connection)
    assert len(names) in (4, 6)
    grow(1)
    assert [fault.where for fault in verify.chain().faults] == names
    with connection.schema_editor() as editor:
        triggers.create(None, editor)
    assert verify.chain().ok


def test_a_thousand_events_are_appended_by_one_call() -> None:
    assert grow(1000).seq == 1000
    report = verify.chain()
    assert report.ok and report.checked == 1000
