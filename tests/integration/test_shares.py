"""A large arrival among several workers: its items are shared, and small arrivals come in between."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import override_settings

from brokers import Broker
from databases import Database
from desk import Desk
from dropslot.arrivals.crew import Crew
from dropslot.arrivals.delivery import pipeline
from dropslot.arrivals.delivery.shares import cutting, helping, share_holder
from dropslot.arrivals.delivery.shares.helping import Helper
from dropslot.arrivals.models import Arrival, Delivery, Share
from dropslot.arrivals.workers import between, leases
from dropslot.arrivals.workers.between import Between
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.states import ShareState, State
from dropslot.destinations.s3.in_parts import PART_BYTES
from dropslot.files.listing import Item
from product import STUDY, Product
from sshd import Sshd
from stores import BUCKET, ObjectStore
from waiting import wait_until

LEASE = timedelta(seconds=60)
CONTENT = {f"up/{number:02}": bytes([number]) * 5000 for number in range(12)}


@pytest.fixture(autouse=True)
def one_processor() -> Iterator[None]:
    """With one processor of several, another worker adds to the rate of a local destination."""
    had = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(had)})
    yield
    os.sched_setaffinity(0, had)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.config = desk.config.model_copy(update={"share_from": 256 << 10})
    return desk


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".dropslot" not in path.parts
    }


def deliver(config: Config, arrival: str, crew: Crew) -> Arrival:
    [taken] = leases.take_next("here:1:a", LEASE, lambda _: False, limit=1)
    assert taken.id == arrival
    pipeline.deliver_arrivals(config, [taken], crew)
    return Arrival.objects.get(id=arrival)


def test_helpers_stage_shares_and_all_is_as_if_one_worker_had_done_it(desk: Desk) -> None:
    helped: list[bool] = []

    def help_twice(arrival: Arrival, shares: int) -> None:
        assert Share.objects.filter(arrival=arrival).count() == shares > 3
        helped.extend(Helper(desk.config, name).help_once() for name in ("there:2:b", "there:3:c"))

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=help_twice, worker="here:1:a"))
    alone = deliver(desk.config, desk.send("q-a", CONTENT), Crew())
    assert (row.state, alone.state, helped) == (State.DONE, State.DONE, [True, True])
    to = desk.base / "to"
    assert tree(to / "p") == tree(to / "q") == CONTENT
    columns = ("item", "stored_as", "sha256", "size_bytes", "mtime_ns", "outcome")
    one, other = (Delivery.objects.filter(arrival=each.id).values_list(*columns) for each in (row, alone))
    assert [item[:4] for item in one] == [item[:4] for item in other]
    assert row.evidence.keys() == alone.evidence.keys()  # leased alike
    assert not Share.objects.exists()
    assert not Helper(desk.config, "there:2:b").help_once()


@dataclass
class IntoBucket:
    """A desk whose arrivals go into a new prefix of a bucket."""

    desk: Desk
    store: ObjectStore
    top: str

    def deliver(self, announce: Callable[[Arrival, int], None]) -> tuple[Arrival, dict[str, bytes]]:
        """One arrival with large items, and its content."""
        sent = {f"scan{number}": os.urandom(PART_BYTES + 100_000) for number in range(4)} | {"note": b"small"}
        crew = Crew(announce=announce, worker="here:1:a")
        with override_settings(DROPSLOT=self.desk.config):
            return deliver(self.desk.config, self.desk.send("p-a", sent), crew), sent

    def stored(self) -> dict[str, bytes]:
        keys = [key for key in self.store.list_keys(f"{self.top}/") if ".dropslot" not in key]
        return {key.removeprefix(f"{self.top}/p/"): self.store.get(key) for key in keys}


@pytest.fixture
def into_bucket(
    database: Database, tmp_path: Path, store_secrets: None, shared_store: ObjectStore
) -> IntoBucket:
    top = f"shares-{secrets.token_hex(6)}"
    desk = Desk(tmp_path, deliver=[{"to": f"s3://{BUCKET}/{top}/{{place}}", **shared_store.keys}])
    desk.config = desk.config.model_copy(update={"share_from": 1 << 20})
    return IntoBucket(desk, shared_store, top)


@pytest.mark.xdist_group("stores")
def test_helpers_send_large_items_into_a_bucket(into_bucket: IntoBucket) -> None:
    """One reports; another one ends before: its holder finds its parts there."""

    def help_twice(_arrival: Arrival, shares: int) -> None:
        assert shares > 3
        assert Helper(into_bucket.desk.config, "there:2:b").help_once()
        assert len(into_bucket.store.uploads(into_bucket.top)) == 1
        assert Helper(into_bucket.desk.config, "there:3:c").help_once()
        Share.objects.filter(worker="there:3:c").update(state=ShareState.GIVEN_UP, uploads=None)

    row, content = into_bucket.deliver(help_twice)
    assert (row.state, Share.objects.exists()) == (State.DONE, False), row.reason
    assert into_bucket.stored() == content
    assert into_bucket.store.uploads(into_bucket.top) == []


@pytest.mark.xdist_group("stores")
def test_what_helpers_sent_of_a_void_attempt_is_removed_or_kept(into_bucket: IntoBucket) -> None:
    """The source changed: nothing of it is wanted. A helper was lost: the next attempt goes on with it."""
    desk = into_bucket.desk

    def change(arrival: Arrival, _shares: int) -> None:
        assert Helper(desk.config, "there:2:b").help_once()
        [held] = [path for path in desk.folders().processing.iterdir() if path.name.startswith(arrival.id)]
        (held / "p-a" / "scan0").write_bytes(b"changed")

    def lose(_arrival: Arrival, _shares: int) -> None:
        assert Helper(desk.config, "there:2:b").help_once()
        late = Share.objects.filter(state=ShareState.OPEN)[:1].get()
        Share.objects.filter(pk=late.pk).update(
            state=ShareState.TAKEN, worker="there:3:c", lease_until=Now() - timedelta(seconds=1)
        )

    row, _ = into_bucket.deliver(change)
    assert row.state == State.RETRYING and "scan0" in row.reason[0]
    assert into_bucket.store.uploads(into_bucket.top) == []
    Arrival.objects.update(state=State.FAILED, finished_at=Now())
    row, _ = into_bucket.deliver(lose)
    assert row.state == State.RETRYING and "does not answer" in row.reason[0]
    assert len(into_bucket.store.uploads(into_bucket.top)) == 3


@pytest.mark.parametrize("far", [False, True], ids=["folder", "server"])
def test_a_helper_stops_when_nobody_waits_for_its_share(
    database: Database, tmp_path: Path, shared_sshd: Sshd, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    far_keys = {
        "key": str(shared_sshd.key),
        "known_hosts": str(shared_sshd.known_hosts),
        "create_folders": True,
    }
    to = shared_sshd.url(tmp_path / "to") if far else "./to"
    desk = Desk(tmp_path, deliver=[{"to": f"{to}/{{place}}"} | (far_keys if far else {})])
    desk.config = desk.config.model_copy(update={"share_from": 256 << 10})
    monkeypatch.setattr(helping, "ASK_SECONDS", 0.0)
    pieces: list[int] = []

    def piece() -> None:
        pieces.append(1)
        Share.objects.filter(worker="there:2:b").update(state=ShareState.GIVEN_UP)

    def unwanted(_arrival: Arrival, _shares: int) -> None:
        helper = Helper(desk.config, "there:2:b", piece)
        assert helper.help_once()
        assert helper.help_once()  # it is not to blame
        assert set(Share.objects.values_list("state", "digests")) == {(ShareState.GIVEN_UP, None)}

    content = {"one": bytes(40 << 20), "two": bytes(40 << 20)}
    row = deliver(desk.config, desk.send("p-a", content), Crew(announce=unwanted, worker="here:1:a"))
    assert row.state == State.DONE, row.reason
    assert (tree(desk.base / "to" / "p"), len(pieces)) == (content, 2)


def test_what_a_helper_cannot_stage_its_holder_stages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper on a machine that has not this storage; it asks for no more of this arrival."""

    def lame(arrival: Arrival, _shares: int) -> None:
        def broken(*_: object, **__: object) -> bytes:
            raise OSError(5, "I/O error")

        helper = Helper(desk.config, "there:2:b")
        with monkeypatch.context() as patch:
            patch.setattr("dropslot.destinations.local.staging.Filling.fill", broken)
            assert helper.help_once()
        assert list(Share.objects.filter(state="given-up", arrival=arrival).values_list("worker", flat=True))
        assert not helper.help_once()

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=lame, worker="here:1:a"))
    assert row.state == State.DONE
    assert Event.objects.filter(arrival=row.id, kind="started").count() == 1
    assert tree(desk.base / "to" / "p") == CONTENT


def test_a_share_whose_report_was_lost_is_given_up_before_other_work(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("away")

    def forgetful(_arrival: Arrival, _shares: int) -> None:
        helper = Helper(desk.config, "there:2:b")
        with monkeypatch.context() as patch, pytest.raises(OperationalError):
            patch.setattr(helper, "_report", away)
            helper.help_once()
        mine = Share.objects.filter(worker="there:2:b")
        assert mine.get().state == ShareState.TAKEN
        helper.settle()
        assert mine.get().state == ShareState.GIVEN_UP

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=forgetful, worker="here:1:a"))
    assert (row.state, tree(desk.base / "to" / "p")) == (State.DONE, CONTENT)


def test_a_share_whose_taking_had_no_answer_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unanswered:
        def __init__(self, share: Share) -> None:
            self.rows = Share.objects.filter(pk=share.pk)

        def update(self, **columns: object) -> int:
            self.rows.update(**columns)
            raise OperationalError("the connection was lost before the answer")

    def unlucky(_arrival: Arrival, _shares: int) -> None:
        helper = Helper(desk.config, "there:2:b")
        with monkeypatch.context() as patch, pytest.raises(OperationalError):
            patch.setattr(helping, "free_of", Unanswered)
            helper.help_once()
        assert helper.help_once()  # the next one; the other one's holder need not wait
        states = Share.objects.filter(worker="there:2:b").order_by("number").values_list("state", flat=True)
        assert list(states) == [ShareState.STAGED, ShareState.GIVEN_UP]

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=unlucky, worker="here:1:a"))
    assert (row.state, tree(desk.base / "to" / "p")) == (State.DONE, CONTENT)


def left_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    """A helper has a share, and comes no further."""

    def stuck(*_: object) -> None:
        raise OperationalError("stands for a process that waits for its file server for ever")

    helper = Helper(desk.config, worker)
    with monkeypatch.context() as patch, pytest.raises(OperationalError):
        patch.setattr(helper, "_report", stuck)
        helper.help_once()


def test_a_helper_that_comes_no_further_loses_its_share_although_its_process_lives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped = Share.objects.filter(worker="there:2:b")

    def hanging(_arrival: Arrival, _shares: int) -> None:
        left_taken(desk, monkeypatch, "there:2:b")
        helped.update(lease_until=Now())
        helping.renew("there:2:b", desk.config)
        assert helped.filter(lease_until__gt=Now()).exists()
        helped.update(lease_until=Now())
        monkeypatch.setattr(helping, "STUCK_SECONDS", -1.0)
        helping.renew("there:2:b", desk.config)

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=hanging, worker="here:1:a"))
    assert row.state == State.RETRYING and "there:2:b" in row.reason[0] and not helped.exists()
    Arrival.objects.update(due_at=None, attempts=share_holder.SHARED_ATTEMPTS)
    crew = Crew(announce=lambda *_: pytest.fail("helpers failed it often enough"), worker="here:1:a")
    assert deliver(desk.config, row.id, crew).state == State.DONE
    assert tree(desk.base / "to" / "p") == CONTENT


def test_a_share_that_its_holder_took_back_is_not_taken_for_a_silent_helpers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(_arrival: Arrival, _shares: int) -> None:
        for worker in ("there:2:b", "there:3:c"):
            left_taken(desk, monkeypatch, worker)
        Share.objects.filter(worker="there:2:b").update(state=ShareState.GIVEN_UP, lease_until=Now())

    looked: list[int] = []

    def pause() -> None:
        if Share.objects.filter(state=ShareState.OPEN).exists():
            return
        looked.append(Share.objects.filter(state=ShareState.TAKEN, worker="here:1:a").count())
        if len(looked) > 3:  # the holder has looked for silent helpers meanwhile
            Share.objects.filter(worker="there:3:c").update(state=ShareState.GIVEN_UP)

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(pause, two, worker="here:1:a"))
    assert (row.state, tree(desk.base / "to" / "p")) == (State.DONE, CONTENT)
    assert len(looked) > 3 and Event.objects.filter(arrival=row.id, kind="started").count() == 1


def test_a_small_arrival_overtakes_a_large_one_that_is_being_staged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(between, "PIECE_SECONDS", 0.0)
    large = desk.send("p-large", {"one": bytes(80 << 20), "two": b"2"})
    small = desk.send("q-small", b"small")
    other = desk.send("r-large", {"one": bytes(40 << 20)})
    small_ones = Between(desk.config, "here:1:a", lambda: False)
    row = deliver(desk.config, large, Crew(small_ones, worker="here:1:a"))
    assert row.state == State.DONE
    ended = Event.objects.filter(kind="delivered").order_by("seq").values_list("arrival", flat=True)
    assert list(ended) == [small, large]
    # Another large one is only looked at: it goes back into the queue, once.
    left = Arrival.objects.get(id=other)
    assert (left.state, left.size_bytes, left.attempts) == (State.READY, 40 << 20, 0)
    assert Event.objects.filter(arrival=other, kind="given-back").count() == 1


def test_shares_cover_all_items_in_order_and_no_share_is_too_large() -> None:
    items = [Item(str(number), size, 0, 0, 0) for number, size in enumerate([5 << 30, 1, 9 << 20] * 5000)]
    ranges = cutting.cut(items, 256 << 20)
    assert [at for start, stop in ranges for at in range(start, stop)] == list(range(len(items)))
    assert all(stop - start <= cutting.MOST_ITEMS for start, stop in ranges)
    assert max(sum(item.size_bytes for item in items[start:stop]) for start, stop in ranges) < 10 << 30
    assert cutting.cut(items[1:3], 256 << 20) == [(0, 2)]


def test_rows_that_somebody_removed_end_the_attempt_and_the_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_holder, "WAIT_SECONDS", 0.001)

    def remove(_arrival: Arrival, _shares: int) -> None:
        Share.objects.all().delete()

    row = deliver(desk.config, desk.send("p-a", CONTENT), Crew(announce=remove, worker="here:1:a"))
    assert row.state == State.RETRYING and "no longer in the database" in row.reason[0]
    Arrival.objects.update(due_at=None)
    again = deliver(desk.config, row.id, Crew(announce=lambda *_: None, worker="here:1:a"))
    assert again.state == State.DONE
    wait_until(partial(lambda: not Share.objects.exists()), what="no rows")


@dataclass(frozen=True)
class Service:
    """Two workers that deliver to a server."""

    product: Product
    url: str
    sshd: Sshd

    def start(self, **keys: str) -> dict[str, bytes]:
        """Start it and drop a large arrival; returns its content."""
        to = {
            "to": self.sshd.url(self.product.studies),
            "key": str(self.sshd.key),
            "known_hosts": str(self.sshd.known_hosts),
        }
        self.product.configure({"study": STUDY | {"deliver": [to]}}, share_from="4MiB", **keys)
        self.product.start("run")
        content = {f"run{number % 9}/{number:03}": os.urandom(100_000) for number in range(400)}
        self.product.drop("session", content)
        return content

    def helper(self) -> str | None:
        """A worker that stages a share of another worker's arrival now."""
        asked = (
            "SELECT s.worker FROM dropslot_share s JOIN dropslot_arrival a ON a.id = s.arrival_id"
            " WHERE s.state = 'taken' AND s.worker <> a.worker"
        )
        with psycopg.connect(self.url) as connection:
            found = connection.execute(asked).fetchone()
        return found[0] if found else None

    def actions(self) -> list[str]:
        lines = (self.product.root / "var/logs/dropslot.jsonl").read_text().splitlines()
        return [entry["action"] for line in lines if "action" in (entry := json.loads(line))]


@pytest.fixture
def service(make_product: Callable[..., Product], postgres_url: str, shared_sshd: Sshd) -> Service:
    return Service(make_product(postgres_url), postgres_url, shared_sshd)


@pytest.mark.crash
def test_a_killed_helper_of_a_service_costs_one_share(service: Service) -> None:
    product, content = service.product, service.start()
    helper = wait_until(service.helper, what="a worker that helps")
    assert helper
    os.kill(int(helper.split(":")[1]), signal.SIGKILL)
    product.wait_for_state("session", "done")
    assert product.delivered() == content
    kinds = [event["kind"] for event in product.listing("events")]
    assert kinds == ["claimed", "started", "delivered"]
    assert "OK" in product.run("verify", "--fixity").stdout


@pytest.mark.crash
@pytest.mark.xdist_group("brokers")
def test_workers_of_celery_share_what_goes_to_a_server(service: Service, redis_broker: Broker) -> None:
    content = service.start(workers="celery", broker=redis_broker.url)
    service.product.wait_for_state("session", "done")
    assert service.product.delivered() == content
    assert "shared" in (done := service.actions()) and "share_staged" in done
