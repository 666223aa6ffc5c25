"""Workers, watcher, portal, beat, broker and database are killed at random, and each arrival is delivered once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from brokers import KINDS, Broker, RabbitMQ, Redis
from ports import free_port
from postgres import PostgresServer
from product import STUDY, Product
from random_kills import Drops, Storm, wait_for_all

_KILLS = 40
_SEED = 20261130


@pytest.fixture
def own_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True)
    server.start()
    for name, value in server.passwords.items():
        monkeypatch.setenv(name, value)
    server.execute("CREATE DATABASE dropslot")
    yield server
    server.stop()


@pytest.fixture
def own_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    broker = {"redis": Redis, "rabbitmq": RabbitMQ}[request.param]()
    if request.param == "rabbitmq":
        monkeypatch.setenv("DROPSLOT_BROKER_PASSWORD", "guest")
    broker.start()
    yield broker
    broker.close()


@pytest.mark.parametrize("own_broker", KINDS, indirect=True)
def test_each_arrival_is_delivered_once_whatever_is_killed(
    make_product: Callable[..., Product], own_database: PostgresServer, own_broker: Broker
) -> None:
    product = make_product(own_database.url("dropslot")).configure(
        {"study": STUDY | {"rescan": "5s"}},
        workers="celery",
        broker=own_broker.url.replace("guest:guest@", "guest@"),
        lease="10s",
        portal={"listen": f"127.0.0.1:{free_port()}"},
    )
    product.run("verify")  # makes the tables
    drops, storm = Drops(product, _SEED), Storm(product, own_database, own_broker, _SEED)
    over = threading.Event()
    people = threading.Thread(target=drops.keep_dropping, args=(over, 0.03))
    people.start()
    try:
        storm.blow(lambda: sum(storm.killed.values()) < _KILLS, (0.2, 1.2))
    finally:
        over.set()
        people.join()
    wait_for_all(product, storm, len(drops.names), deadline_seconds=180)
    storm.stop()
    assert len(drops.names) > 300
    drops.require_each_once()
    printed = [log.read_text(errors="replace") for log in product.root.glob("*.log")]
    assert not [text[text.index("Traceback") :][:2000] for text in printed if "Traceback" in text]
