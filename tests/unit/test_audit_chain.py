"""The chain of events on SQLite, our own and other people's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.transaction import TransactionManagementError
from hypothesis import given
from hypothesis import strategies as st

from dropslot.audit import chain, verify
from dropslot.audit.canonical import canonical, entry_text
from dropslot.audit.chain import GENESIS, Entry, Head
from dropslot.audit.models import Event, Receipt
from trail import ARRIVAL, grow, sqlite_trail

pytestmark = pytest.mark.usefixtures("databases_at_hand")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def alias(tmp_path: Path, databases_at_hand: None) -> Iterator[str]:
    with sqlite_trail(tmp_path) as name:
        yield name


def test_each_hash_is_sha256_over_the_hash_before_and_the_canonical_entry(alias: str) -> None:
    head = grow(alias, 3)
    previous = "0" * 64
    for event in Event.objects.using(alias):
        entry = {key: getattr(event, key) for key in ("seq", "at", "kind", "arrival")}
        entry["data"] = json.loads(event.data)
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert event.hash == sha256((previous + text).encode()).hexdigest()
        previous = event.hash
    assert head == Head(3, previous)


def test_numbers_go_on_without_gaps_over_transactions(alias: str) -> None:
    heads = [grow(alias, 2), grow(alias, 1), chain.head(using=alias)]
    assert [head.seq for head in heads] == [2, 3, 3]
    assert list(Event.objects.using(alias).values_list("seq", flat=True)) == [1, 2, 3]


def test_an_empty_chain_has_the_genesis_head(alias: str) -> None:
    with transaction.atomic(using=alias):
        assert chain.append([], using=alias) == GENESIS


def test_what_is_rolled_back_leaves_no_event_and_no_gap(alias: str) -> None:
    grow(alias, 1)
    with pytest.raises(RuntimeError), transaction.atomic(using=alias):
        chain.append([Entry("lost")], using=alias)
        raise RuntimeError
    assert grow(alias, 1).seq == 2
    assert verify.chain(using=alias).ok


def test_a_savepoint_that_is_rolled_back_takes_its_events_with_it(alias: str) -> None:
    with transaction.atomic(using=alias):
        chain.append([Entry("kept")], using=alias)
        with pytest.raises(RuntimeError), transaction.atomic(using=alias):
            chain.append([Entry("lost")], using=alias)
            raise RuntimeError
        chain.append([Entry("kept too")], using=alias)
    assert list(Event.objects.using(alias).values_list("kind", flat=True)) == ["kept", "kept too"]
    assert verify.chain(using=alias).ok


def test_append_outside_of_a_transaction_is_refused(alias: str) -> None:
    with pytest.raises(TransactionManagementError):
        chain.append([Entry("x")], using=alias)


@pytest.mark.parametrize("mode", ["IMMEDIATE", "DEFERRED"])
def test_writers_at_once_make_one_chain(tmp_path: Path, mode: str) -> None:
    with sqlite_trail(tmp_path, mode) as alias:
        faults: list[Exception] = []

        def write() -> None:
            try:
                for _ in range(20):
                    grow(alias, 2)
            except Exception as error:  # noqa: BLE001 - told by the test itself
                faults.append(error)
            finally:
                connections[alias].close()

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults
        report = verify.chain(using=alias)
        assert report.ok and report.checked == 160


REFUSED = [
    "UPDATE dropslot_event SET kind = 'x' WHERE seq = 1",
    "DELETE FROM dropslot_event WHERE seq = 3",
    "DELETE FROM dropslot_event",
    "INSERT OR REPLACE INTO dropslot_event VALUES (1, '', '', '', '{}', '')",
    "INSERT OR REPLACE INTO dropslot_event (rowid, seq, at, kind, arrival, data, hash) VALUES (1, 9, 1, 1, 1, 1, 1)",
    "UPDATE OR REPLACE dropslot_event SET seq = 2 WHERE seq = 1",
    "INSERT INTO dropslot_event VALUES (1, '', '', '', '', '') ON CONFLICT (seq) DO UPDATE SET kind = 'x'",
    "UPDATE dropslot_receipt SET body = 'x'",
    "DELETE FROM dropslot_receipt",
    f"INSERT OR REPLACE INTO dropslot_receipt VALUES ('{ARRIVAL}', '', '')",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_sqlite_refuses_to_change_what_was_recorded(alias: str, sql: str) -> None:
    grow(alias, 3)
    Receipt.objects.using(alias).create(arrival=ARRIVAL, body="{}", signature="")
    before = [list(model.objects.using(alias).values_list()) for model in (Event, Receipt)]
    with pytest.raises(IntegrityError, match="append-only"), connections[alias].cursor() as cursor:
        cursor.execute(sql)
    assert [list(model.objects.using(alias).values_list()) for model in (Event, Receipt)] == before


def test_django_itself_is_refused_too(alias: str) -> None:
    grow(alias, 2)
    with pytest.raises(IntegrityError):
        Event.objects.using(alias).filter(seq=1).update(kind="x")
    with pytest.raises(IntegrityError):
        Event.objects.using(alias).all().delete()
    event = Event.objects.using(alias).get(seq=1)
    event.kind = "x"
    with pytest.raises(IntegrityError):
        event.save(using=alias)


@given(_json)
def test_canonical_json_read_and_written_again_is_the_same_bytes(value: Any) -> None:
    text = canonical({"value": value})
    assert canonical(json.loads(text)) == text
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.text(), st.text(), st.integers())
def test_the_entry_put_together_from_its_parts_is_the_canonical_entry(at: str, kind: str, seq: int) -> None:
    data = {"z": 1, "a": [at, kind]}
    whole = canonical({"seq": seq, "at": at, "kind": kind, "arrival": "", "data": data})
    assert entry_text(seq, at, kind, "", canonical(data)) == whole


def test_bytes_of_a_name_that_are_no_utf8_are_recorded_as_escapes(alias: str) -> None:
    with transaction.atomic(using=alias):
        chain.append(
            [Entry("refused", "", {"name": b"caf\xe9".decode("utf-8", "surrogateescape")})], using=alias
        )
    assert json.loads(Event.objects.using(alias).get().data) == {"name": "caf\\udce9"}
    assert verify.chain(using=alias).ok


@pytest.mark.parametrize("data", [{1: "a"}, {"a": float("nan")}, {"a": object()}, {"a": {None: 1}}])
def test_data_that_json_does_not_have_is_refused_before_anything_is_written(alias: str, data: Any) -> None:
    with pytest.raises((TypeError, ValueError)), transaction.atomic(using=alias):
        chain.append([Entry("good"), Entry("bad", "", data)], using=alias)
    assert chain.head(using=alias) == GENESIS


@pytest.mark.parametrize(("kind", "arrival"), [("", ""), ("k" * 41, ""), ("k", "A" * 27)])
def test_an_entry_that_the_columns_cannot_hold_is_refused(kind: str, arrival: str) -> None:
    with pytest.raises(ValueError, match="kind of 1 to 40"):
        Entry(kind, arrival)


def test_times_are_utc_with_microseconds_and_z() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=-6)))
    assert chain.timestamp(moment) == "2026-03-04T11:06:07.000008Z"
    assert chain.timestamp(datetime(26, 1, 1, tzinfo=UTC)) < chain.timestamp(moment)
