"""`workers: celery`: what the local workers promise holds for Celery's, whatever becomes of broker and messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from brokers import KINDS, Broker
from clocks import Clock
from product import STUDY, Product
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("brokers")  # one of each is enough


@pytest.fixture
def celery_product(
    make_product: Callable[..., Product], postgres_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> Product:
    """On PostgreSQL, with two workers and their broker."""
    return make_product(postgres_url).configure(workers="celery", **addressed(broker, monkeypatch))


def addressed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The key `broker`, and its password in the environment."""
    if "guest:guest@" in broker.url:
        monkeypatch.setenv("DROPSLOT_BROKER_PASSWORD", "guest")
    return {"broker": broker.url.replace("guest:guest@", "guest@")}


def delivered(product: Product, names: list[str]) -> bool:
    return set(names) <= set(os.listdir(product.studies))  # what it stages comes and goes below


@pytest.mark.parametrize("broker", KINDS, indirect=True)
def test_each_arrival_is_delivered_once_by_workers_of_celery(celery_product: Product, broker: Broker) -> None:
    product = celery_product
    product.start("run")
    names = [f"s{number:03}" for number in range(40)]
    for name in names:
        product.drop(name, name.encode())
    wait_until(lambda: delivered(product, names), deadline_seconds=60, what="all deliveries")
    broker.empty()  # what is dropped now has a message, or not: it is delivered all the same
    product.drop("later", b"later")
    product.wait_for_state("later", "done")
    history = [(row["item"], row["version"], row["outcome"]) for row in product.history()]
    assert sorted(history) == [(name, 1, "delivered") for name in ["later", *names]]
    assert "OK" in product.run("verify", "--fixity").stdout


@pytest.mark.crash
def test_a_worker_of_its_own_takes_small_arrivals_before_a_large_one(
    celery_product: Product, broker: Broker, tmp_path: Path
) -> None:
    """The clock of its machine is five minutes behind."""
    product, clock = celery_product, Clock(tmp_path / "clock")
    clock.step(-300)
    assert "study" in product.run("worker", "--routes", "nonsense", status=2).stderr
    text = product.config.read_text()
    product.config.write_text(text.replace("workers: celery", "workers: celery\nworker_count: 0"))
    product.start("run")
    product.drop("large", bytes(40 << 20))
    product.wait_for_state("large", "ready")
    product.drop("small", b"1")
    assert product.wait_for_state("small", "ready")["attempts"] == 0
    worker = product.start("worker", "--routes", "study", PYTHONPATH=clock.path)
    done = [product.wait_for_state(name, "done")["id"] for name in ("small", "large")]
    begun = [row["arrival"] for row in product.listing("events") if row["kind"] == "started"]
    assert begun == done
    worker.terminate()
    assert worker.wait(60) == 0


@pytest.mark.crash
def test_beat_has_logs_read_by_workers_and_files_verified(
    make_product: Callable[..., Product],
    postgres_url: str,
    redis_broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product = make_product(postgres_url)
    log = product.root / "access.log"
    log.touch()
    fetches = {
        "log": str(log),
        "match": "/results/{folder}/{stored_name}",
        "users": {"clinic": "dig"},
        "every": "1s",
    }
    route = STUDY | {"name": "(?P<folder>[^-]+)-.*", "deliver": [{"to": "./studies/{folder}"}]}
    keys = addressed(redis_broker, monkeypatch)
    product.configure({"study": route | {"acknowledge": [fetches]}}, workers="celery", fixity="1d", **keys)
    product.start("run")
    product.drop("dig-1.pdf", b"1")
    product.wait_for_state("dig-1.pdf", "done")
    fetched = datetime.now(UTC) + timedelta(seconds=1)
    at = f"{fetched:%d/%b/%Y:%H:%M:%S +0000}"
    log.write_text(f'10.0.0.1 - clinic [{at}] "GET /results/dig/dig-1.pdf HTTP/1.1" 200 1 "-" "-"\n')
    wait_until(lambda: product.history()[0]["acknowledged_by"], deadline_seconds=60, what="an acknowledgment")

    def verified() -> list[dict[str, Any]]:
        return [row["data"] for row in product.listing("events") if row["kind"] == "verified"]

    [result] = wait_until(verified, deadline_seconds=60, what="a verification of the files")
    assert result["what"] == "trail and files" and result["outcome"] == "ok"


def test_celery_needs_a_broker_and_tells_so(sqlite_product: Product) -> None:
    product = sqlite_product.configure(workers="celery")
    assert "broker" in product.run("drain", status=2).stderr
    product.configure(workers="celery", broker="redis://:secret@127.0.0.1/0")
    error = product.run("drain", status=2).stderr
    assert "DROPSLOT_BROKER_PASSWORD" in error and "secret" not in error
    product.configure({"study": STUDY}, worker_count=0)
    assert "worker_count" in product.run("drain", status=2).stderr
