"""Arrivals that want the same names are planned in the order of their drops; all others overtake freely."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import Database
from desk import Desk
from dropslot.arrivals.delivery import order
from dropslot.arrivals.intake import claim, record, waiting_entries
from dropslot.arrivals.listings import queries
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.upkeep.retry import retry
from dropslot.arrivals.workers import leases, recovery
from dropslot.core.states import State
from dropslot.watching.entries import Judged
from lanes import examples
from product import STUDY, Product, Tree
from waiting import wait_until


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with override_settings(DROPSLOT=made.config):
        yield made


# Where the older one may be when a worker has the newer one in its hands; each returns what finishes it.


def recorded(desk: Desk, older: Judged, state: State, **columns: object) -> str:
    taken = desk.claim(older)
    record.record_claims(desk.config, [taken])
    Arrival.objects.filter(id=taken.id).update(state=state, **columns)
    return taken.id


def ready(desk: Desk, older: Judged) -> Callable[[], str]:
    arrival = recorded(desk, older, State.READY)
    return lambda: arrival


def at_work(desk: Desk, older: Judged) -> Callable[[], str]:
    arrival = recorded(desk, older, State.PROCESSING, worker="there:1:b", epoch=1)
    return lambda: let_go(arrival)


def let_go(arrival: str) -> str:
    Arrival.objects.filter(id=arrival).update(state=State.READY)
    return arrival


def in_backoff(desk: Desk, older: Judged) -> Callable[[], str]:
    arrival = recorded(desk, older, State.RETRYING, epoch=1, due_at=datetime.now(UTC) + timedelta(minutes=4))
    return lambda: arrival


def taken_over(desk: Desk, older: Judged) -> Callable[[], str]:
    """The epoch was counted up, and the folder not moved yet."""
    arrival = recorded(desk, older, State.PROCESSING, worker="there:1:b", epoch=3)
    return lambda: let_go(arrival)


def waits_in_the_inbox(desk: Desk, older: Judged) -> Callable[[], str]:
    noted = waiting_entries.note(desk.folders(), older, "not readable", datetime.now(UTC))
    (desk.folders().inbox / older.name).chmod(0o750)  # made readable: that makes it no later drop

    def take() -> str:
        record.record_claims(desk.config, [claim.claim_arrival(desk.folders(), older, noted.id)])  # type: ignore[list-item]
        return noted.id

    return take


def is_judged(desk: Desk, older: Judged) -> Callable[[], str]:
    """Still in the inbox, and nobody has noticed it yet."""

    def take() -> str:
        taken = desk.claim(older)
        record.record_claims(desk.config, [taken])
        return taken.id

    return take


PLACES = [ready, at_work, in_backoff, taken_over, waits_in_the_inbox, is_judged]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("older", [{"scan": b"old", "x/y": b""}, b"old"], ids=["folder", "file"])
def test_newer_one_waits_for_the_older_wherever_that_is(
    desk: Desk, place: Callable[[Desk, Judged], Callable[[], str]], older: Tree | bytes
) -> None:
    name = "p-scan" if isinstance(older, bytes) else "p-old"
    item = "p-scan" if isinstance(older, bytes) else "scan"
    finish = place(desk, desk.drop(name, older))
    newer = desk.send("p-new", {item: b"new", "z": b""}, "two")
    other = desk.send("p-other", {"other": b"1"}, "two")
    assert desk.attempt(newer, other) == [State.RETRYING, State.DONE]
    [reason] = Arrival.objects.get(id=newer).reason
    assert f"{item} is also in {name}" in reason and "dropped earlier" in reason
    assert desk.attempt(first := finish()) == [State.DONE]
    assert desk.attempt(newer) == [State.DONE]
    assert desk.versions(item) == [first, newer]
    assert [row["version"] for row in queries.latest("two") if row["item"] == item] == [2]


def test_next_try_is_when_the_older_one_may_have_ended(desk: Desk) -> None:
    older, newer = desk.send("p-old", {"scan": b"old"}), desk.send("p-new", {"scan": b"new"})
    now = datetime.now(UTC)
    Arrival.objects.update(received_at=now - timedelta(days=1))
    [taken] = leases.take_next("there:1:b", timedelta(minutes=1), lambda _: False, limit=1)
    assert taken.id == older and desk.attempt(newer) == [State.RETRYING]
    assert Arrival.objects.get(id=newer).due_at < now + timedelta(seconds=30)  # type: ignore[operator]
    Arrival.objects.filter(id=older).update(state=State.RETRYING, due_at=now + timedelta(minutes=3))
    assert desk.attempt(newer) == [State.RETRYING]
    due = Arrival.objects.get(id=newer).due_at
    assert due and abs(due - now - timedelta(minutes=3)) < timedelta(seconds=20)


@pytest.mark.sqlite_only
def test_claim_that_has_no_row_yet_is_waited_for_by_what_saw_it_in_the_inbox(desk: Desk) -> None:
    older = desk.drop("p-old", {"scan": b"old"})
    newer = desk.send("p-new", {"scan": b"new"}, "two")
    assert desk.attempt(newer) == [State.RETRYING]
    taken = desk.claim(older)
    assert desk.attempt(newer) == [State.RETRYING]
    record.record_claims(desk.config, [taken])
    assert desk.attempt(newer, taken.id) == [State.DONE, State.DONE]  # in one batch, too
    assert desk.versions("scan") == [taken.id, newer]


@pytest.mark.parametrize("name", [".up-p-old", "p-old.part", "q-old"])
@pytest.mark.sqlite_only
def test_what_is_no_drop_for_that_place_is_not_waited_for(desk: Desk, name: str) -> None:
    desk.drop(name, {"scan": b"old"})
    newer = desk.send("p-new", {"scan": b"new"}, "two")
    assert desk.attempt(newer) == [State.DONE]


@pytest.mark.parametrize("route", [{"test_names": "p-old"}, {"takes": "files"}], ids=["test", "other kind"])
def test_entry_that_is_never_delivered_is_not_waited_for(
    sqlite_database: Database, tmp_path: Path, route: dict[str, str]
) -> None:
    desk = Desk(tmp_path, **route)
    with override_settings(DROPSLOT=desk.config):
        desk.drop("p-old", {"p-scan": b"old"})
        newer = desk.send("p-scan", b"new", "two")
        assert desk.attempt(newer) == [State.DONE]


@pytest.mark.sqlite_only
def test_bag_waits_for_a_file_that_is_still_in_the_inbox(desk: Desk) -> None:
    older = desk.drop("p-scan", b"old")
    bag = {"bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "data/p-scan": b"1"}
    newer = desk.send("p-bag", bag, "two")
    assert desk.attempt(newer) == [State.RETRYING]
    taken = desk.claim(older)
    record.record_claims(desk.config, [taken])
    assert desk.attempt(taken.id) == [State.DONE]
    assert desk.attempt(newer) == [State.FAILED]  # it has no manifest


@pytest.mark.parametrize("content", [{"scan": b"1"}, b"1"], ids=["folders", "files"])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.sqlite_only
def test_one_among_many_that_are_not_finished_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, content: Tree | bytes, place: int
) -> None:
    monkeypatch.setattr(order, "CHUNK", 2)  # a page of rows
    for number in range(5):
        here = number == place
        desk.send("p-scan" if here else f"p-{number}", content if here else b"")
    newer = desk.send("p-scan", content, "two")
    Arrival.objects.update(dropped_at=Arrival.objects.get(id=newer).dropped_at)  # a coarse clock
    Arrival.objects.filter(id=newer).update(dropped_at=datetime.now(UTC))
    assert desk.attempt(newer) == [State.RETRYING]
    Arrival.objects.exclude(id=newer).filter(name="p-scan").update(state=State.FAILED)
    assert desk.attempt(newer) == [State.DONE]


@pytest.mark.sqlite_only
def test_entry_that_does_not_become_complete_is_not_waited_for_long(desk: Desk) -> None:
    desk.drop("p-old", {"scan": b"old"})
    newer = desk.send("p-new", {"scan": b"new"}, "two")
    Arrival.objects.update(received_at=datetime.now(UTC) - timedelta(minutes=1))
    assert desk.attempt(newer) == [State.DONE]


@pytest.mark.sqlite_only
def test_entry_that_waits_for_another_place_is_not_waited_for(desk: Desk) -> None:
    waiting_entries.note(
        desk.folders(), desk.drop("q-old", {"scan": b"old"}), "not readable", datetime.now(UTC)
    )
    newer = desk.send("p-new", {"scan": b"new"}, "two")
    assert desk.attempt(newer) == [State.DONE]


@pytest.mark.sqlite_only
def test_entry_that_is_not_whole_is_not_waited_for_until_it_is(desk: Desk) -> None:
    older = desk.drop("p-old", {"scan": b"old", "b.filepart": b""})
    waiting_entries.note(desk.folders(), older, "b.filepart is unfinished", datetime.now(UTC), is_whole=False)
    first, second = desk.send("p-new", {"scan": b"new"}, "two"), desk.send("p-2", {"scan": b"2"}, "two")
    Arrival.objects.filter(id__in=[first, second]).update(
        received_at=datetime.now(UTC) - timedelta(minutes=1)
    )
    assert desk.attempt(first) == [State.DONE]
    waiting_entries.note(desk.folders(), older, "not readable", datetime.now(UTC))
    assert desk.attempt(second) == [State.RETRYING]


@pytest.mark.sqlite_only
def test_newer_drop_in_the_inbox_is_not_waited_for(desk: Desk) -> None:
    older = desk.send("p-old", {"scan": b"old"})
    desk.drop("p-new", {"scan": b"new"}, "two")
    assert desk.attempt(older) == [State.DONE]


@pytest.mark.sqlite_only
def test_bag_waits_for_what_has_the_names_of_its_payload_and_the_other_way_round(desk: Desk) -> None:
    bag = {"bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "data/scan": b"1"}
    first, second = desk.send("p-bag", bag), desk.send("p-plain", {"scan": b"2"}, "two")
    third = desk.send("p-bag3", bag)
    assert desk.attempt(second) == [State.RETRYING]
    assert desk.attempt(first) == [State.FAILED]  # it has no manifest: what failed is not waited for
    assert desk.attempt(third) == [State.RETRYING]
    assert desk.attempt(second) == [State.DONE]
    assert desk.attempt(third) == [State.FAILED]


def test_refused_one_that_is_retried_becomes_a_version_that_is_not_the_latest(desk: Desk) -> None:
    older, newer = desk.send("p-old", {"scan": b"old"}), desk.send("p-new", {"scan": b"new"})
    Arrival.objects.filter(id=older).update(state=State.FAILED)
    assert desk.attempt(newer) == [State.DONE]
    retry(desk.config, Arrival.objects.get(id=older))
    assert desk.attempt(older) == [State.DONE]
    assert desk.versions("scan") == [newer, older]
    [latest] = queries.latest("one")
    assert (latest["version"], latest["arrival"]) == (1, newer)
    told = {
        row["arrival"]: (row["superseded"], row["dropped_at"]) for row in queries.history(queries.Filter())
    }
    assert told[older][0] is True and told[newer][0] is False
    assert told[older][1] < told[newer][1]
    again = desk.send("p-again", {"scan": b"old"})
    assert desk.attempt(again) == [State.DONE]
    assert Delivery.objects.get(arrival_id=again).superseded is True


def test_what_has_begun_to_publish_waits_for_no_turn(desk: Desk) -> None:
    older, newer = desk.send("p-old", {"scan": b"old"}), desk.send("p-new", {"scan": b"new"})
    Arrival.objects.filter(id=newer).update(intent={})
    assert desk.attempt(newer) == [State.DONE]
    assert desk.attempt(older) == [State.DONE]


@pytest.mark.sqlite_only
def test_claim_adopted_after_a_crash_has_the_time_of_its_drop(desk: Desk) -> None:
    judged = desk.drop("p-old", {"scan": b"old"})
    taken = desk.claim(judged)
    os.utime(
        taken.folders.processing / f"{taken.id}-1" / "p-old"
    )  # what the rename did to its ctime, and more
    recovery.recover(desk.config)
    assert Arrival.objects.get(id=taken.id).dropped_at == claim.time_of_drop(judged.ctime_ns)


@pytest.mark.sqlite_only
def test_another_entry_under_the_name_of_one_that_waits_is_a_drop_of_its_own(desk: Desk) -> None:
    older = desk.drop("p-old", {"scan": b"old"})
    noted = waiting_entries.note(desk.folders(), older, "not readable", datetime.now(UTC))
    os.rename(desk.folders().inbox / "p-old", desk.base / "taken-back")
    assert not noted.is_same(desk.drop("p-old", {"scan": b"other"}))
    waiting_entries.replaced(noted.id)
    assert not Arrival.objects.exists()


@pytest.mark.sqlite_only
def test_what_was_not_whole_is_dropped_when_it_is(desk: Desk) -> None:
    part = desk.drop("p-old", {"scan": b"old", "b.filepart": b""})
    noted = waiting_entries.note(
        desk.folders(), part, "b.filepart is unfinished", datetime.now(UTC), is_whole=False
    )
    assert noted.is_same(part)  # given up as it is
    os.rename(desk.folders().inbox / "p-old/b.filepart", desk.folders().inbox / "p-old/b")
    whole = part._replace(ctime_ns=os.stat(desk.folders().inbox / "p-old").st_ctime_ns)
    assert not noted.is_same(whole)


def test_earlier_rows_were_dropped_when_they_were_received(database: Database) -> None:
    from django.core.management import call_command
    from django.db import connection

    migrate = partial(call_command, "migrate", "dropslot_arrivals", verbosity=0)
    migrate("0001")
    received = "2026-01-02 03:04:05+00:00" if database.vendor == "postgresql" else "2026-01-02 03:04:05"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dropslot_arrival (id, route, inbox, name, name_bytes, is_folder, in_place, sender, location, "
            "fields, state, reason, attempts, epoch, worker, evidence, received_at, archived_as) VALUES "
            "('01JD', 'r', '/i', 'n', %s, true, false, '', '', '{}', 'done', '[]', 1, 1, '', '{}', %s, '')",
            [b"n", received],
        )
    migrate()
    assert Arrival.objects.get().dropped_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


ITEMS = st.sets(st.sampled_from("abc"), min_size=1)
_places = iter(f"p{number}" for number in range(10_000))


@pytest.mark.deep
@given(st.lists(ITEMS, min_size=2, max_size=5), st.data())
@settings(
    max_examples=examples(8, 40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
def test_versions_follow_the_drops_however_attempts_interleave(
    sqlite_desk: Desk, arrivals: list[set[str]], data: st.DataObject
) -> None:
    desk, place = sqlite_desk, next(_places)
    sent = [
        desk.send(f"{place}-{number}", dict.fromkeys(items, b"%d" % number), ("one", "two")[number % 2])
        for number, items in enumerate(arrivals)
    ]
    left = set(sent)
    for _ in range(30):
        some = data.draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
        desk.attempt(*some)
        left -= set(Arrival.objects.filter(state=State.DONE).values_list("id", flat=True))
        if not left:
            break
    desk.attempt(*left) if left else None
    for item in "abc":
        rows = Delivery.objects.filter(item=item, arrival__name__startswith=f"{place}-").order_by("version")
        assert list(rows.values_list("arrival_id", flat=True)) == [
            arrival for arrival, items in zip(sent, arrivals, strict=True) if item in items
        ]


@pytest.fixture
def sqlite_desk(sqlite_database: Database, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with override_settings(DROPSLOT=made.config):
        yield made


# With the product's own processes


def drop_in_order(product: Product, drops_: Mapping[str, Tree | bytes], route: str = "study") -> None:
    last = 0
    for name, content in drops_.items():
        path = product.drop(name, content, route)

        def is_later(path: Path = path, last: int = last) -> bool:
            path.chmod(0o700)
            return path.stat().st_ctime_ns > last

        wait_until(is_later, what="the clock")
        last = path.stat().st_ctime_ns


def versions(product: Product, item: str = "scan") -> list[str]:
    rows = [row for row in product.history() if row["item"] == item]
    return [row["name"] for row in sorted(rows, key=lambda row: row["version"])]


@pytest.mark.parametrize("args", [("drain",), ("drain", "--now")])
def test_backlog_of_corrections_becomes_versions_in_the_order_of_the_drops(
    sqlite_product: Product, args: tuple[str, ...]
) -> None:
    product = sqlite_product.configure(
        {"later": STUDY | {"folders": "./later", "settle": "0.3s"}, "study": STUDY | {"settle": "0.3s"}}
    )
    names = [f"n{number * 7 % 9}" for number in range(9)]
    drop_in_order(product, {name: {"scan": name.encode()} for name in names})
    drop_in_order(product, {"last": {"scan": b"last"}}, "later")
    product.run(*args)
    assert versions(product) == [*names, "last"]
    assert product.listing("latest", "study")[0]["stored_as"] == "scan.v9"
    [row] = product.listing("latest", "later")
    assert row["stored_as"] == "scan.v10" and row["dropped_at"] == product.arrivals()[-1]["dropped_at"]


def test_correction_of_one_of_many_files_comes_after_them(sqlite_product: Product) -> None:
    product = sqlite_product
    product.start("run")
    wait_until(lambda: "Worker started" in (product.root / "run.log").read_text(), what="the service")
    dropped = product.drop("visit", {f"f{number}": b"old" for number in range(3000)})
    wait_until(lambda: not dropped.exists(), what="its claim")
    product.drop("visit", {"f0": b"corrected"})

    def both_done() -> bool:
        return [row["state"] for row in product.arrivals()] == ["done", "done"]

    wait_until(both_done, deadline_seconds=60, what="both deliveries")
    assert product.delivered()["f0.v2"] == b"corrected"


def test_correction_waits_for_an_open_writer_of_what_it_corrects(sqlite_product: Product) -> None:
    product = sqlite_product
    dropped = product.drop("scan", b"old")
    with dropped.open("r+b"):
        product.drain(status=1)
        product.drop("scan", b"corrected")
        product.drop("other", b"1")
        product.drain(status=1)
    assert product.delivered() == {"other": b"1"}
    for row in product.arrivals("--state", "retrying"):
        product.run("retry", row["id"])
    product.drain()
    assert product.delivered() == {"other": b"1", "scan": b"old", "scan.v2": b"corrected"}
