"""What the broker and its messages may do: nothing of it loses an arrival, or delivers one twice."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.utils import timezone
from kombu import Connection, Exchange
from test_celery_workers import addressed, celery_product

from brokers import Broker, RabbitMQ, Redis
from databases import Database
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers.celery import announcing
from dropslot.broker.client import client
from dropslot.broker.doctor import forgets_tasks, trouble
from dropslot.broker.queue_lengths import waiting
from dropslot.config import Config, from_mapping
from dropslot.core.states import State
from product import STUDY, Product
from waiting import wait_until

__all__ = ["celery_product"]
pytestmark = pytest.mark.xdist_group("brokers")

_GATE = """
import pathlib, threading
from dropslot.checks.base import Check

class Gate(Check):
    def check_item(self, item):
        here = pathlib.Path(self.option)
        (here / f"came-{item.name}").touch()
        while not (here / "open").exists():
            threading.Event().wait(0.02)
        return ()
"""


class Gated:
    """A product whose checks wait until the gate opens, so that a delivery is under way for as long as a test wants."""

    def __init__(self, product: Product, **keys: Any) -> None:
        self.product, self.gate = product, product.root / "gate"
        self.gate.mkdir()
        (product.root / "plugins").mkdir()
        (product.root / "plugins" / "gates.py").write_text(_GATE)
        product.configure(
            {"study": STUDY | {"checks": [{"gates.Gate": str(self.gate)}]}}, workers="celery", **keys
        )

    def wait_for(self, name: str) -> None:
        wait_until((self.gate / f"came-{name}").exists, deadline_seconds=60, what=f"{name} at the gate")

    def open(self) -> None:
        (self.gate / "open").touch()


def send(broker: Broker, body: bytes, **properties: Any) -> None:
    """Put raw bytes into the route's queue, as anybody can who reaches the broker."""
    with Connection(broker.url) as connection:
        exchange = Exchange("dropslot", type="direct", durable=True)
        options: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8"}
        connection.Producer().publish(
            body, exchange=exchange, routing_key="dropslot.study", **(options | properties)
        )


def send_task(broker: Broker, **keywords: Any) -> None:
    with Celery("test", broker=broker.url, set_as_current=False) as app:
        app.send_task(
            "dropslot.deliver", kwargs=keywords, exchange="dropslot", routing_key="dropslot.study", queue=None
        )


def once(product: Product, *names: str) -> None:
    history = [(row["item"], row["version"], row["outcome"]) for row in product.history()]
    assert sorted(history) == [(name, 1, "delivered") for name in sorted(names)]
    assert "OK" in product.run("verify", "--fixity").stdout


def test_messages_that_are_garbage_old_new_or_repeated_do_nothing(
    celery_product: Product, broker: Broker
) -> None:
    product = celery_product
    product.start("run")
    product.drop("first", b"1")
    done = product.wait_for_state("first", "done")
    task = {"task": "dropslot.deliver", "id": "x", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    send(broker, b"\xff\xfe garbage")
    send(broker, b"{}")
    send(broker, b'[[], {"version": 1}, {}]', headers=task | {"task": "dropslot.unknown"})
    send(
        broker,
        b"cos\nsystem\n(S'touch owned'\ntR.",
        content_type="application/x-python-serialize",
        headers=task,
    )
    send(broker, json.dumps([[1, 2], {"x": "y" * 100_000}, {}]).encode(), headers=task)
    send(broker, b"[[], {}, {}]", headers=task)
    for keywords in (
        {"version": 0, "route": "study", "arrivals": [done["id"]]},
        {"version": 1, "route": "nowhere", "arrivals": [done["id"]]},
        {"version": 1, "route": "study", "arrivals": "all"},
        {"version": 1, "route": "study", "arrivals": [None, {"a": 1}]},
        {"version": 1, "route": "study", "arrivals": [done["id"]] * 3},
        {"version": 1, "route": "study", "arrivals": ["0" * 26], "more": True},
        {"version": 2, "route": "study", "lots": {"of": "news"}},
    ):
        send_task(broker, **keywords)
    product.drop("last", b"2")
    product.wait_for_state("last", "done")
    once(product, "first", "last")
    assert not list(product.root.rglob("owned"))
    assert [row["attempts"] for row in product.arrivals()] == [1, 1]


# What Redis says, how it comes to that, and how that ends.
TAKES_NOTHING = {
    "maxmemory": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "read only": ("REPLICAOF 127.0.0.1 9", "REPLICAOF NO ONE"),
}


@pytest.mark.crash
def test_a_broker_that_is_away_or_takes_nothing_only_delays(celery_product: Product, broker: Broker) -> None:
    product, away = celery_product, ["meanwhile"]
    if isinstance(broker, Redis):  # RabbitMQ takes long to start
        away.append("early")
        broker.kill()
        product.start("run")
        product.drop("early", b"1")
        assert product.wait_for_state("early", "ready")["attempts"] == 0
        doctor = product.run("doctor", status=1).stdout
        assert "does not answer" in doctor and "DROPSLOT_BROKER_PASSWORD" in doctor
        broker.start()
        product.wait_for_state("early", "done")
        assert f"{broker.url} answers" in product.run("doctor", status=None).stdout
        for name, (begin, end) in TAKES_NOTHING.items():
            broker.tell(begin)
            away.append(product.drop(name, b"3").name)
            product.wait_for_state(name, "ready")
            broker.tell(end)
            product.wait_for_state(name, "done")
    else:
        product.start("run")
        wait_until(lambda: "Worker started" in (product.root / "run.log").read_text(), what="a worker")
    with broker.frozen():
        away.append(product.drop("stands still", b"4").name)
        product.wait_for_state("stands still", "ready")
        log = product.root / "run.log"
        wait_until(
            lambda: "did not take a message" in log.read_text(), deadline_seconds=60, what="a line of it"
        )
    product.wait_for_state("stands still", "done")
    broker.kill()
    product.drop("meanwhile", b"2")
    product.wait_for_state("meanwhile", "ready")
    broker.start()
    product.wait_for_state("meanwhile", "done")
    once(product, *away)


def test_a_broker_that_takes_nothing_is_named_by_doctor(redis_broker: Broker, tmp_path: Path) -> None:
    assert isinstance(redis_broker, Redis)
    routes = {"study": {"folders": "./study", "deliver": [{"to": "./to"}]}}
    config = from_mapping({"workers": "celery", "routes": routes, "broker": redis_broker.url}, tmp_path)
    assert trouble(config) is None
    for said, (begin, end) in TAKES_NOTHING.items():
        redis_broker.tell(begin)
        try:
            found = trouble(config)
        finally:
            redis_broker.tell(end)
        assert found and said in found.what and "answers, and takes nothing" in found.what


def test_a_redis_that_keeps_what_it_takes_loses_no_tasks(redis_broker: Broker, tmp_path: Path) -> None:
    assert isinstance(redis_broker, Redis)
    route = {"folders": "./study", "deliver": [{"to": "./to"}]}
    keys: dict[str, Any] = {"workers": "celery", "broker": redis_broker.url}
    config = from_mapping({**keys, "routes": {"study": route | {"after": "celery:lab.convert"}}}, tmp_path)
    assert forgets_tasks(config)
    assert not forgets_tasks(from_mapping({**keys, "routes": {"study": route}}, tmp_path))
    redis_broker.tell("CONFIG SET appendonly yes")
    try:
        assert not forgets_tasks(config)
    finally:
        redis_broker.tell("CONFIG SET appendonly no")


def test_a_redis_that_the_network_lost_is_given_up(redis_broker: Broker, tmp_path: Path) -> None:
    """A worker waits for messages without an end; it must not wait for those of a machine that is gone."""
    routes = {"study": {"folders": "./study", "deliver": [{"to": "./to"}]}}
    config = from_mapping({"workers": "celery", "routes": routes, "broker": redis_broker.url}, tmp_path)
    with client(config, sends_only=True).connection_for_read() as connection:
        channel: Any = connection.default_channel
        options = channel.client.connection_pool.connection_kwargs["socket_keepalive_options"]
    assert 1_000 < options[socket.TCP_USER_TIMEOUT] <= 60_000
    assert options[socket.TCP_KEEPIDLE] + options[socket.TCP_KEEPINTVL] * options[socket.TCP_KEEPCNT] <= 60


@pytest.fixture
def rabbitmq(
    rabbit_broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[RabbitMQ, Config]:
    assert isinstance(rabbit_broker, RabbitMQ)
    routes = {"study": {"folders": "./study", "deliver": [{"to": "./to"}]}}
    keys = addressed(rabbit_broker, monkeypatch)
    return rabbit_broker, from_mapping({"workers": "celery", "routes": routes, **keys}, tmp_path)


@pytest.mark.crash
def test_a_rabbitmq_without_memory_is_named_by_doctor(rabbitmq: tuple[RabbitMQ, Config]) -> None:
    """It takes connections and declarations as ever."""
    broker, config = rabbitmq
    with broker.full():
        found = trouble(config)
    assert found and "answers, and takes nothing: no answer in time" in found.what
    assert trouble(config) is None
    assert waiting(client(config, sends_only=True), config, config.routes) == {"study": 0}


@pytest.fixture
def gated(
    make_product: Callable[..., Product],
    postgres_url: str,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> Gated:
    return Gated(make_product(postgres_url), **addressed(broker, monkeypatch))


def give_away(broker: Broker) -> None:
    """What each worker does every 100 seconds: give messages that are not acknowledged in time to others."""
    with Connection(broker.url, transport_options={"visibility_timeout": 0}) as connection:
        channel: Any = connection.default_channel
        wait_until(lambda: channel.client.hlen("unacked") == 1, what="the message in a worker's hands")
        channel.qos.restore_visible(interval=1)


def test_a_long_delivery_whose_message_the_broker_gives_away_again_is_made_once(
    gated: Gated, broker: Broker
) -> None:
    """By Redis after its visibility timeout, by RabbitMQ after its consumer timeout, which ends the connection too."""
    product = gated.product
    product.start("run")
    product.drop("slow", b"1")
    gated.wait_for("slow")
    if isinstance(broker, Redis):
        give_away(broker)
    log = product.root / "run.log"
    wait_until(lambda: "message came again" in log.read_text(), deadline_seconds=60, what="the message again")
    gated.open()
    product.wait_for_state("slow", "done")
    product.drop("next", b"2")  # and the worker whose connection was closed works again, or its successor
    product.wait_for_state("next", "done")
    once(product, "next", "slow")
    assert [row["attempts"] for row in product.arrivals()] == [1, 1]


def test_a_worker_goes_on_after_a_broker_that_ended_while_it_worked(
    make_product: Callable[..., Product], postgres_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of its work cannot be acknowledged. Celery would keep its place, and take no other."""
    gated = Gated(make_product(postgres_url), worker_count=1, **addressed(broker, monkeypatch))
    product = gated.product
    product.start("run")
    product.drop("slow", b"1")
    gated.wait_for("slow")
    broker.kill()
    gated.open()
    log = product.root / "run.log"
    wait_until(
        lambda: "Delivered arrival" in log.read_text(), deadline_seconds=60, what="the end of the work"
    )
    broker.start()
    product.drop("next", b"2")
    product.wait_for_state("next", "done", deadline_seconds=60)
    once(product, "next", "slow")


@pytest.mark.crash
def test_what_hangs_is_ended_by_the_time_limit_and_continued(
    make_product: Callable[..., Product],
    postgres_url: str,
    redis_broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = addressed(redis_broker, monkeypatch)
    gated = Gated(make_product(postgres_url), worker_count=1, time_limit="3s", **keys)
    product = gated.product
    product.start("run")
    product.drop("one", b"1")
    wait_until(lambda: len(started(product)) == 2, deadline_seconds=60, what="a takeover")
    gated.open()
    product.wait_for_state("one", "done")
    once(product, "one")
    (product.root / "var" / "keys").rename(product.root / "elsewhere")
    refused = product.run("worker", status=1)  # as on a machine that lacks the key
    assert "Copy the folder `keys`" in refused.stderr


def test_a_killed_worker_is_taken_over_and_a_stop_lets_it_finish(
    make_product: Callable[..., Product], postgres_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated(make_product(postgres_url), worker_count=1, **addressed(broker, monkeypatch))
    product = gated.product
    running = product.start("run")
    product.drop("one", b"1")
    gated.wait_for("one")
    holder = next(row["worker"] for row in started(product))
    os.kill(int(holder.split(":")[1]), signal.SIGKILL)
    wait_until(lambda: len(started(product)) == 2, deadline_seconds=60, what="a takeover")
    running.terminate()
    gated.open()
    assert running.wait(60) == 0
    assert [row["state"] for row in product.arrivals()] == ["done"]  # it was finished before the end
    once(product, "one")


def started(product: Product) -> list[dict[str, Any]]:
    """Who took arrivals, the first one first."""
    rows = product.listing("events")
    return [row["data"] for row in rows if row["kind"] in ("started", "taken-over")]


@pytest.mark.crash
def test_a_finished_arrival_sends_somebodys_own_task(
    make_product: Callable[..., Product], postgres_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = make_product(postgres_url)
    route = STUDY | {"after": "celery:lab.tasks.convert"}
    product.configure({"study": route}, workers="celery", **addressed(broker, monkeypatch))
    product.start("run")
    product.drop("one", b"1")
    arrival = product.wait_for_state("one", "done")["id"]
    heard: list[tuple[str, Any]] = []

    def hear(body: Any, message: Any) -> None:
        heard.append((message.headers["task"], body[0]))
        message.ack()

    with Connection(broker.url) as connection, Celery("lab", broker=broker.url, set_as_current=False) as app:
        queue = app.amqp.queues["celery"]  # as anybody's worker declares it
        with connection.Consumer(queue, callbacks=[hear]):
            connection.drain_events(timeout=30)
    assert heard == [("lab.tasks.convert", [arrival])]
    said = product.run("doctor", status=None).stdout
    assert ("tasks of `after` that wait there are lost" in said) == isinstance(broker, Redis)


def test_a_queue_that_nobody_empties_stays_short(
    sqlite_database: Database, tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "MOST_WAITING", 150)
    routes = {"study": {"folders": "./study", "deliver": [{"to": "./to"}]}}
    config = from_mapping({"workers": "celery", "routes": routes, **addressed(broker, monkeypatch)}, tmp_path)
    row = Arrival(id="0" * 26, route="study", inbox="/i", name="s", name_bytes=b"s", is_folder=True)
    row.state, row.received_at = State.READY, timezone.now()
    row.save(force_insert=True)
    app = client(config, sends_only=True)
    bounds = announcing.Bounds(app, config)
    for _ in range(400):
        assert announcing.send_ids(app, config, [row.id], bounds)
    assert waiting(app, config, ["study"]) == {"study": 199}  # they are counted at each hundredth
