"""Shares of the work: no sender and no route waits for another one's backlog, and no destination gets too many."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from databases import Database
from dropslot.arrivals.intake.claim import new_id
from dropslot.arrivals.intake.ranks import give_ranks
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import leases
from dropslot.arrivals.workers.shares_of_routes import Limits
from dropslot.config import Config, from_mapping
from dropslot.core import context
from dropslot.core.states import State

pytestmark = pytest.mark.usefixtures("database")
LEASE = timedelta(minutes=1)
_numbers = count()


def drop(sender: str, number: int, route: str = "study", items: int = 1) -> list[Arrival]:
    """As the recorder records claims."""
    now = datetime.now(UTC)
    made = [
        Arrival(
            id=new_id(),
            route=route,
            inbox=f"/drop/{route}",
            name=(name := f"scan{next(_numbers)}"),
            name_bytes=name.encode(),
            is_folder=items > 1,
            items=items,
            sender=sender,
            state=State.READY,
            received_at=now,
        )
        for _ in range(number)
    ]
    with transaction.atomic():
        give_ranks(made)
        Arrival.objects.bulk_create(made)
    return made


def take(worker: str = "here:1:a") -> list[Arrival]:
    return leases.take_next(worker, LEASE, lambda _: False)


def finish(taken: list[Arrival]) -> None:
    Arrival.objects.filter(id__in=[one.id for one in taken]).update(
        state=State.DONE, finished_at=timezone.now(), worker=""
    )


def test_one_file_of_a_sender_comes_next_however_many_another_has_waiting() -> None:
    drop("flood", 2000)
    finish(take())
    at_work = take()
    [one] = drop("calm", 1)
    batch = take("here:2:b")
    assert one.id in {arrival.id for arrival in batch}
    assert len(at_work) == len(batch) == leases.BATCH  # the batch is as full as ever


def test_a_message_about_a_backlog_takes_what_is_next_by_rank() -> None:
    flood = [one.id for one in drop("flood", 300)]
    finish(take())
    take()
    [one] = drop("calm", 1)
    batch = leases.take_announced(flood[-100:], "study", "here:2:b", LEASE, lambda _: False)
    assert one.id in {arrival.id for arrival in batch}


def test_a_large_one_whose_message_was_lost_does_not_wait_for_the_backlog_of_a_machine_that_is_down() -> None:
    """The sweep announces the first ones of a route; here these lie in an inbox that no running machine has."""
    there = [one.id for one in drop("there", 10)]
    Arrival.objects.update(inbox="/drop/elsewhere")
    [large] = drop("here", 1, items=100_000)
    [small] = drop("here", 1)

    def take_here() -> list[str]:
        away = ["/drop/elsewhere"]
        finish(taken := leases.take_announced(there, "study", "here:1:a", LEASE, lambda _: False, away))
        return [one.id for one in taken]

    assert [take_here(), take_here(), take_here()] == [[small.id], [large.id], []]


def test_two_backlogs_share_the_work_and_what_was_away_saves_nothing_up() -> None:
    drop("early", 600)
    for _ in range(2):
        finish(take())
    drop("late", 600)
    shares = Counter[str]()
    for _ in range(4):
        taken = take()
        shares.update(one.sender for one in taken)
        finish(taken)
    assert abs(shares["early"] - shares["late"]) <= 2


def test_a_route_with_many_senders_takes_no_more_than_one_with_few() -> None:
    for sender in range(20):
        drop(f"sender{sender}", 60, "many")
    drop("alone", 600, "few")
    shares = Counter[str]()
    for _ in range(7):
        taken = take()
        shares.update(one.route for one in taken)
        finish(taken)
    assert 0.8 < shares["few"] / shares["many"] < 1.25


def limited(tmp_path: Path, at_once: int) -> Config:
    server = "sftp://a@pacs.example/~/"
    routes = {
        "study": [{"to": f"{server}x", "at_once": at_once}],
        "scans": [{"to": f"{server}y/{{sent}}"}, {"to": "./to"}],
        "free": [{"to": "./to"}],
    }
    return from_mapping(
        {
            "routes": {
                key: {"folders": f"./{key}", "name": "(?P<sent>.+)", "deliver": deliver}
                for key, deliver in routes.items()
            }
        },
        tmp_path,
    )


def test_a_destination_gets_no_more_at_once_and_holds_up_no_other(tmp_path: Path) -> None:
    context.put(Limits(limited(tmp_path, 3)))
    drop("a", 300), drop("b", 300, "scans")
    drop("c", 40, "free")
    first, second = take(), take("here:2:b")
    shares = Counter(one.route for one in (*first, *second))
    assert shares["study"] + shares["scans"] == 3 and shares["free"] == 40
    assert take("here:3:c") == []
    finish([one for one in first if one.route != "free"][:1])
    [again] = take("here:3:c")
    assert again.route in ("study", "scans")
    waits = Arrival.objects.filter(state=State.READY, route="study").values_list("id", flat=True)[0]
    assert leases.take_announced([waits], "study", "here:4:d", LEASE, lambda _: False) == []


def test_arrivals_of_a_dead_worker_take_no_place_and_are_taken_over(tmp_path: Path) -> None:
    context.put(Limits(limited(tmp_path, 2)))
    drop("a", 10)
    lost = {one.id for one in take("gone:1:x")}
    assert len(lost) == 2 and take("here:1:a") == []
    again = leases.take_next("here:1:a", LEASE, lambda name: name == "gone:1:x")
    assert {one.id for one in again} == lost


def test_a_large_one_of_a_dead_worker_is_taken_over_by_a_message(tmp_path: Path) -> None:
    context.put(Limits(limited(tmp_path, 1)))
    [large] = drop("a", 1, items=100_000)
    assert take("gone:1:x")
    taken = leases.take_announced([large.id], "study", "here:1:a", LEASE, lambda name: name == "gone:1:x")
    assert [one.id for one in taken] == [large.id]


def test_a_worker_takes_up_again_only_what_it_holds_itself() -> None:
    drop("a", 3)
    held = take("here:1:a")
    drop("a", 3)
    assert take("here:2:b")
    again = leases.take_own("here:1:a", LEASE)
    assert {one.id for one in again} == {one.id for one in held}
    assert [one.epoch for one in again] == [2, 2, 2]
    finish(again)
    assert leases.take_own("here:1:a", LEASE) == []


def test_workers_that_take_at_the_same_moment_keep_to_the_limit(tmp_path: Path, database: Database) -> None:
    context.put(Limits(limited(tmp_path, 4)))
    drop("a", 400)
    ready = threading.Barrier(4)
    taken: list[Arrival] = []

    def work(number: int) -> None:
        ready.wait()
        for _ in range(5):
            taken.extend(take(f"here:{number}:w"))
        connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A worker's own unfinished ones are its to take again.
    assert len({one.id for one in taken}) == Arrival.objects.filter(state=State.PROCESSING).count() == 4
    assert connection.vendor == database.vendor
