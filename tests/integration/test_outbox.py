"""Named readers of the event table: nothing lost, nothing twice, in order, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from django.db import connection, transaction

from databases import Database
from dropslot.audit import chain, outbox
from dropslot.audit.chain import Entry
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, EventReader
from trail import grow, write_at_once

DELIVERED = (Kind.DELIVERED,)


def told(seen: list[int], reader: str = "mail", at_most: int = outbox.BATCH) -> int:
    def effect(events: Sequence[Event]) -> None:
        seen.extend(event.seq for event in events)

    return outbox.read(reader, effect, kinds=DELIVERED, at_most=at_most)


def append(*kinds: Kind) -> None:
    with transaction.atomic():
        chain.append([Entry(kind.value) for kind in kinds])


def test_a_reader_begins_at_the_end_of_the_trail_and_goes_on_where_it_was(database: Database) -> None:
    seen: list[int] = []
    grow(3)
    assert told(seen) == 0  # nobody of that name
    outbox.begin("mail")
    assert told(seen) == 0
    grow(2)
    outbox.begin("mail")  # another start
    assert told(seen) == 2
    assert told(seen) == 0
    assert seen == [4, 5]


def test_readers_do_not_share_a_position(database: Database) -> None:
    mail: list[int] = []
    metrics: list[int] = []
    outbox.begin("mail")
    outbox.begin("metrics")
    grow(2)
    told(mail)
    outbox.end("mail")
    grow(1)
    told(mail)
    told(metrics, "metrics")
    assert (mail, metrics) == ([1, 2], [1, 2, 3])


def test_events_come_in_batches_and_those_of_other_kinds_are_passed_by(database: Database) -> None:
    seen: list[int] = []
    outbox.begin("mail")
    append(Kind.CLAIMED, Kind.DELIVERED, Kind.STARTED, Kind.DELIVERED, Kind.DELIVERED, Kind.CLAIMED)
    assert [told(seen, at_most=2) for _ in range(3)] == [2, 1, 0]
    assert seen == [2, 4, 5]
    assert EventReader.objects.get().seq == 6
    append(Kind.CLAIMED)
    assert told(seen) == 0
    assert EventReader.objects.get().seq == 7


def test_an_effect_that_fails_is_undone_and_gets_the_same_events_again(database: Database) -> None:
    def effect(events: Sequence[Event]) -> None:
        outbox.begin(f"made of {[event.seq for event in events]}")
        raise OSError("no route to the mail server")

    outbox.begin("mail")
    grow(2)
    with pytest.raises(OSError, match="no route"):
        outbox.read("mail", effect, kinds=DELIVERED)
    assert [row.name for row in EventReader.objects.all()] == ["mail"]
    seen: list[int] = []
    told(seen)
    assert seen == [1, 2]


def test_what_is_not_committed_yet_is_neither_read_nor_passed_by(database: Database) -> None:
    seen: list[int] = []
    outbox.begin("mail")
    begun, may_commit = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            chain.append([Entry("delivered")])
            begun.set()
            may_commit.wait(60)
        connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    assert begun.wait(60)
    quick = threading.Thread(target=write_at_once, args=(1, 1))  # waits for the slow one
    quick.start()
    assert told(seen) == 0
    may_commit.set()
    slow.join()
    quick.join()
    told(seen)
    assert seen == [1, 2, 3]


def test_many_writers_and_two_processes_of_one_reader_lose_and_repeat_nothing(database: Database) -> None:
    seen: list[int] = []
    faults: list[Exception] = []
    over = threading.Event()
    outbox.begin("mail")

    def keep_reading() -> None:
        try:
            while not over.is_set():
                told(seen, at_most=3)
        except Exception as error:  # noqa: BLE001 - told below
            faults.append(error)
        finally:
            connection.close()

    readers = [threading.Thread(target=keep_reading) for _ in range(2)]
    for reader in readers:
        reader.start()
    faults += write_at_once(threads=3, times=10)
    over.set()
    for reader in readers:
        reader.join()
    while told(seen):
        pass
    assert (faults, seen) == ([], list(range(1, 61)))
