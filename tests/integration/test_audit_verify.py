"""Whatever somebody does to the trail who may do everything in the database, `verify` names it."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from databases import Database
from dropslot.audit import chain, event_search, signing_key
from dropslot.audit.canonical import canonical
from dropslot.audit.chain import GENESIS, Entry, Head, hash_of
from dropslot.audit.models import Event
from dropslot.audit.verifying import verify
from trail import ARRIVAL, give_receipt, grow, tamper

pytestmark = pytest.mark.usefixtures("database")


def first_fault(**more: Any) -> tuple[str, str]:
    report = verify.chain(**more)
    assert not report.ok and report.found == len(report.faults)
    return report.faults[0]


def rewrite_from(seq: int) -> None:
    """What root can do: edit an event, then make every later hash fit again."""
    tamper(f"UPDATE dropslot_event SET kind = 'forged' WHERE seq = {seq}")
    previous = Event.objects.get(seq=seq - 1).hash if seq > 1 else GENESIS.hash
    for event in list(Event.objects.filter(seq__gte=seq).order_by("seq")):
        previous = hash_of(previous, event.seq, event.at, event.kind, event.arrival, event.data)
        tamper("UPDATE dropslot_event SET hash = %s WHERE seq = %s", (previous, event.seq))


def test_an_untouched_trail_is_well(tmp_path: Path) -> None:
    give_receipt(tmp_path, grow(5))
    head = grow(5)
    report = verify.chain(
        heads=[head, GENESIS], signers=signing_key.allowed_signers(tmp_path / "allowed_signers")
    )
    assert report.ok and (report.checked, report.receipts, report.signatures) == (10, 1, 1)
    assert report.head == head == chain.head()


def test_an_empty_trail_is_well() -> None:
    report = verify.chain()
    assert report.ok and report.checked == 0 and report.head == GENESIS


@pytest.mark.parametrize("column", ["at", "kind", "arrival", "data", "hash"])
def test_a_changed_event_is_named(column: str) -> None:
    grow(10)
    tamper(f"UPDATE dropslot_event SET {column} = 'x' WHERE seq = 4")
    where, what = first_fault()
    assert where == "event 4" and "changed" in what


def test_a_removed_event_is_named() -> None:
    grow(10)
    tamper("DELETE FROM dropslot_event WHERE seq = 4")
    assert first_fault() == ("event 5", "event 4 is missing before it: removed after writing")


@pytest.mark.sqlite_only
def test_a_removed_beginning_is_named() -> None:
    grow(10)
    tamper("DELETE FROM dropslot_event WHERE seq < 4")
    assert first_fault() == ("event 4", "events 1 to 3 are missing before it: removed after writing")


@pytest.mark.sqlite_only
def test_an_inserted_event_is_named() -> None:
    grow(3)
    tamper("INSERT INTO dropslot_event VALUES (0, '', '', '', '{}', '')")
    assert first_fault()[0] == "event 0"


@pytest.mark.sqlite_only
def test_an_event_added_at_the_end_without_its_hash_is_named() -> None:
    grow(3)
    tamper("INSERT INTO dropslot_event VALUES (4, 'now', 'forged', '', '{}', '')")
    assert first_fault()[0] == "event 4"


@pytest.mark.sqlite_only
def test_two_events_that_changed_places_are_named() -> None:
    grow(10)
    tamper("UPDATE dropslot_event SET seq = 1000 WHERE seq = 4")
    tamper("UPDATE dropslot_event SET seq = 4 WHERE seq = 5")
    tamper("UPDATE dropslot_event SET seq = 5 WHERE seq = 1000")
    assert first_fault()[0] == "event 4"


def test_a_removed_end_is_found_by_a_receipt(tmp_path: Path) -> None:
    give_receipt(tmp_path, grow(10))
    tamper("DELETE FROM dropslot_event WHERE seq > 6")
    where, what = first_fault()
    assert where.startswith("receipt 01JD") and "end of the chain was removed" in what


@pytest.mark.sqlite_only
def test_a_removed_end_is_found_by_a_head_that_was_kept_elsewhere() -> None:
    head = grow(10)
    tamper("DELETE FROM dropslot_event WHERE seq > 6")
    assert verify.chain().ok  # nothing inside of the database can tell
    assert "end of the chain was removed" in first_fault(heads=[head])[1]


@pytest.mark.sqlite_only
def test_everything_removed_is_found_by_a_head_that_was_kept_elsewhere() -> None:
    head = grow(3)
    tamper("DELETE FROM dropslot_event")
    assert not verify.chain(heads=[head]).ok


@pytest.mark.sqlite_only
def test_a_chain_that_was_wholly_rewritten_is_found_by_heads(tmp_path: Path) -> None:
    head = grow(5)
    give_receipt(tmp_path, head)
    rewrite_from(2)
    report = verify.chain(heads=[head])
    assert [("rewritten" in fault.what) for fault in report.faults] == [True, True]
    tamper("DELETE FROM dropslot_receipt")
    assert verify.chain().ok


@pytest.mark.sqlite_only
def test_a_receipt_that_was_made_to_fit_a_rewritten_chain_has_no_valid_signature(tmp_path: Path) -> None:
    receipt = give_receipt(tmp_path, grow(5))
    rewrite_from(2)
    body = json.loads(receipt.body) | {"head": chain.head()._asdict()}
    tamper("UPDATE dropslot_receipt SET body = %s", (canonical(body),))
    assert verify.chain().ok
    where, what = first_fault(signers=signing_key.allowed_signers(tmp_path / "allowed_signers"))
    assert where == f"receipt {receipt.arrival}" and "signature" in what


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"arrival": "x"}',
        '{"arrival":"01JD0000000000000000000000","head":{"hash":1,"seq":1}}',
    ],
)
@pytest.mark.sqlite_only
def test_a_receipt_that_is_none_is_named(tmp_path: Path, body: str) -> None:
    give_receipt(tmp_path, grow(5))
    tamper("UPDATE dropslot_receipt SET body = %s", (body,))
    assert "not a receipt" in first_fault()[1]


@pytest.mark.sqlite_only
def test_receipts_are_faults_when_no_signer_is_known(tmp_path: Path) -> None:
    give_receipt(tmp_path, grow(5))
    assert "allowed signers" in first_fault(signers=frozenset())[1]


@pytest.mark.sqlite_only
def test_a_receipt_moved_to_another_arrival_is_named(tmp_path: Path) -> None:
    give_receipt(tmp_path, grow(5))
    tamper("UPDATE dropslot_receipt SET arrival = 'other'")
    assert first_fault()[0] == "receipt other"


@pytest.mark.sqlite_only
def test_the_first_thousand_faults_are_listed_and_all_are_counted() -> None:
    grow(1200)
    tamper("UPDATE dropslot_event SET kind = 'x'")
    report = verify.chain()
    assert (len(report.faults), report.found, report.ok) == (1000, 1200, False)


def test_memory_does_not_grow_with_the_trail() -> None:
    def peak() -> int:
        tracemalloc.start()
        verify.chain()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    grow(10_000)
    one_page = peak()
    grow(20_000)
    assert peak() < one_page * 1.5


def test_verification_goes_on_while_others_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "PAGE", 3)
    grow(10)
    read = verify._page  # noqa: SLF001 - ours
    heads: list[Head] = []

    def read_and_grow(*arguments: Any) -> list[tuple[Any, ...]]:
        rows = read(*arguments)
        if len(heads) < 4:
            heads.append(grow(1))
        return rows

    monkeypatch.setattr(verify, "_page", read_and_grow)
    assert verify.chain().ok


def test_events_are_found_by_arrival_kind_time_and_text() -> None:
    before = datetime.now(UTC)
    with transaction.atomic():
        chain.append(
            [
                Entry("claimed", ARRIVAL, {"name": 'scan "one"'}),
                Entry("delivered", ARRIVAL, {"name": "Zoë\\2"}),
                Entry("claimed", "01JE0000000000000000000000", {"name": "other"}),
            ]
        )

    def found(**how: Any) -> list[int]:
        return [event["seq"] for event in event_search.find(**how)]

    assert found() == [1, 2, 3]
    assert found(arrival="01JD") == found(arrival="01jd") == [1, 2]
    assert found(kind="claimed") == [1, 3]
    assert found(kind="claimed", arrival="01JE") == [3]
    assert found(search='"one"') == [1]
    assert found(search="zoë\\2") == found(search="Zoë\\2") == [2]
    assert found(search="DELIVERED") == [2]
    assert found(search="%") == found(search="nowhere") == []
    assert found(since=before) == [1, 2, 3]
    assert found(since=datetime.now(UTC) + timedelta(days=1)) == []
    assert found(newest=2) == [2, 3]
    assert next(event_search.find(kind="delivered")) == {
        **Event.objects.filter(seq=2).values("seq", "at", "kind", "arrival", "hash")[0],
        "data": {"name": "Zoë\\2"},
    }


def test_no_connection_is_left_in_a_transaction(database: Database) -> None:
    grow(3)
    verify.chain()
    list(event_search.find())
    assert not connection.in_atomic_block
