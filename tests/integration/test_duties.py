"""Duties: one candidate does each, another takes over; the database's clock decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, connections
from django.db.models import F
from django.db.models.functions import Now

from databases import Database
from desk import Desk
from dropslot.arrivals import candidates
from dropslot.arrivals.candidates import Doer
from dropslot.arrivals.models import Candidate, Duty
from dropslot.arrivals.workers import duties, elsewhere
from dropslot.arrivals.workers.duties import Duties
from dropslot.running.ages import elapsed

pytestmark = pytest.mark.usefixtures("database")
A, B = "a.1:1:x", "b.2:2:y"


def candidate(me: str, wants: Sequence[str] = ("watch:study:/in",), dead: Sequence[str] = ()) -> Duties:
    return Duties(me, "watcher", lambda: wants, lambda name: name in dead)


def later(**time: float) -> None:
    """As if that much time had passed for the leases."""
    Candidate.objects.update(until=F("until") - timedelta(**time))


def test_one_of_two_has_the_duty_and_the_other_gets_it_when_the_lease_is_over() -> None:
    first, second = candidate(A), candidate(B)
    first.look()
    second.look()
    assert first.holds("watch:study:/in") and not second.holds("watch:study:/in")
    assert candidates.LEASE.total_seconds() + duties.ROUND_SECONDS < 15  # as the docs promise
    later(seconds=9)
    second.look()
    assert not second.holds("watch:study:/in")  # renewed a moment ago
    Candidate.objects.filter(name=A).update(until=F("until") - timedelta(seconds=2))
    second.look()
    assert second.holds("watch:study:/in")
    first.look()  # it wakes up
    assert not first.holds("watch:study:/in") and Duty.objects.get().term == 2
    shown = candidates.held(["watch:study:/in"])["watch:study:/in"]
    assert shown.in_words() == "b (pid 2) acts; a (pid 1) stands by"


def test_each_inbox_has_a_candidate_of_its_own_and_what_is_not_wanted_any_more_is_free() -> None:
    wants = ["watch:a:/a", "watch:b:/b"]
    first, second = candidate(A, wants), candidate(B, ["watch:b:/b", "watch:c:/c"])
    first.look()
    second.look()
    assert second.holds("watch:c:/c") and not second.holds("watch:b:/b")
    wants.remove("watch:b:/b")  # its disk is gone
    first.look()
    second.look()
    assert second.holds("watch:b:/b") and first.holds("watch:a:/a")
    first.end()
    assert candidates.held(["watch:a:/a"])["watch:a:/a"].in_words() == "nobody acts"


def test_one_that_died_on_this_machine_is_replaced_at_once() -> None:
    candidate(A).look()
    second = candidate(B, dead=[A])
    second.look()
    assert second.holds("watch:study:/in") and not Candidate.objects.filter(name=A).exists()


def test_a_lease_from_before_the_clock_of_the_database_was_set_back_is_over() -> None:
    candidate(A).look()
    later(seconds=-300)
    second = candidate(B)
    second.look()
    assert second.holds("watch:study:/in")


def test_a_candidate_without_the_database_stops_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = elapsed()
    monkeypatch.setattr(duties, "elapsed", lambda: now)
    first = candidate(A)
    first.look()
    monkeypatch.setattr(duties, "elapsed", lambda: now + 9.9)
    assert first.holds("watch:study:/in")
    monkeypatch.setattr(duties, "elapsed", lambda: now + 10.0)
    assert not first.holds("watch:study:/in")


def test_of_many_that_look_at_the_same_time_each_duty_has_one(database: Database) -> None:
    wanted = [f"watch:study:/{number}" for number in range(20)]
    several = [candidate(f"h{number}:1:x", wanted) for number in range(6)]
    at_once([one.look for one in several])
    for lost in several[:2]:  # both lapse, and all others want what they had
        Candidate.objects.filter(name=lost.me).update(until=F("until") - timedelta(seconds=11))
    at_once([one.look for one in several])
    for duty in wanted:
        assert sum(one.holds(duty) for one in several) == 1, duty


def at_once(calls: Sequence[Callable[[], None]]) -> None:
    """Repeated as the thread of `on_duty` does if the database refuses one, as PostgreSQL does in a deadlock."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait(60)
        while True:
            try:
                call()
                break
            except DatabaseError:
                connections.close_all()
        connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_folder_without_a_marker_is_the_same_one_if_it_holds_what_is_under_way(
    database: Database, tmp_path: Path
) -> None:
    """The watcher of another machine could not mark it: its disk was full. Then that machine went down."""
    desk = Desk(tmp_path)
    folders, arrival = desk.folders(), desk.send("p-a", b"1")
    inbox = str(folders.inbox)
    Duty.objects.create(name=candidates.watching("one", inbox), holder=A, last=A, since=Now())
    assert elsewhere.down(desk.config, [folders]) == {}
    [held] = [path for path in folders.processing.iterdir() if path.name.startswith(arrival)]
    held.rename(tmp_path / "elsewhere")
    assert elsewhere.down(desk.config, [folders]) == ({} if database.vendor == "sqlite" else {inbox: "a"})
    assert candidates.held([candidates.watching("one", inbox)]).popitem()[1].last == Doer("a", "1")
