"""100,000 arrivals while workers, watcher, portal, beat, broker and database are killed and started again at random
all the time: no figure has a limit, each arrival must be delivered exactly once, and the trail must be whole."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from benchmarks.report import Row

ARRIVALS = int(os.environ.get("RANDOM_KILLS", "100000"))
_SEED = 1
_HOURS = 2


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001  # one run is long, and its figures are no limits
    """Rows for each broker: how many were killed, and how long it took."""
    return [row for kind in ("redis", "rabbitmq") for row in measure_one(kind, scratch)]


def measure_one(kind: str, scratch: Path, arrivals: int = ARRIVALS) -> list[Row]:
    """With one broker. Raises AssertionError if an arrival was lost, or delivered twice."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from brokers import RabbitMQ, Redis  # type: ignore[import-not-found, unused-ignore]
    from ports import free_port  # type: ignore[import-not-found, unused-ignore]
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]
    from product import STUDY, Product  # type: ignore[import-not-found, unused-ignore]
    from random_kills import Drops, Storm, wait_for_all  # type: ignore[import-not-found, unused-ignore]

    broker = {"redis": Redis, "rabbitmq": RabbitMQ}[kind]()
    database = PostgresServer(durable=True)
    database.start()
    broker.start()
    os.environ |= database.passwords | {"DROPSLOT_BROKER_PASSWORD": "guest" if kind == "rabbitmq" else ""}
    root = scratch / f"random-kills-{kind}"
    root.mkdir()
    product = Product(root, database.url("dropslot"))
    try:
        database.execute("CREATE DATABASE dropslot")
        product.configure(
            {"study": STUDY | {"rescan": "5s"}},
            workers="celery",
            broker=broker.url.replace("guest:guest@", "guest@"),
            lease="10s",
            portal={"listen": f"127.0.0.1:{free_port()}"},
        )
        product.run("verify")  # makes the tables
        drops, storm = Drops(product, _SEED), Storm(product, database, broker, _SEED)
        begun = time.monotonic()
        people = threading.Thread(target=_drop_all, args=(drops, product.folder("inbox"), arrivals))
        people.start()
        storm.blow(lambda: len(os.listdir(product.folder("done"))) < arrivals * 0.98, (1.0, 10.0))
        people.join()
        wait_for_all(product, storm, arrivals, deadline_seconds=_HOURS * 3600)
        took = time.monotonic() - begun
        storm.stop()
        drops.require_each_once()
    finally:
        product.close()
        broker.close()
        database.stop()
    killed = sum(storm.killed.values())
    print(f"  {kind}: {dict(storm.killed)}", file=sys.stderr, flush=True)
    what = f"{arrivals:,} arrivals with {kind}, each delivered once, {killed} kills"
    return [Row(what, f"{arrivals / took:.0f}/s", "", "", None, None)]


def _drop_all(drops: object, inbox: Path, arrivals: int) -> None:
    """As quickly as they are taken: at most 2,000 wait in the inbox."""
    room = threading.Event()
    for number in range(arrivals):
        while number % 100 == 0 and len(os.listdir(inbox)) > 2000:
            room.wait(0.1)
        drops.drop(f"visit{number:06}")  # type: ignore[attr-defined]
