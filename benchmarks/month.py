"""A report of a month with 1,000,000 deliveries: how long it takes, and how long another page waits meanwhile.

`python -m benchmarks.month ARRIVALS ITEMS` fills and measures by itself, in an installation that DROPSLOT_CONFIG names.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

from benchmarks.report import Row, seconds
from benchmarks.slot import STUDY, Slot

# Folders with ten files each, and single files: the second has as many arrivals as deliveries.
SHAPES = ((100_000, 10), (1_000_000, 1))
_LIMIT_SECONDS, _LIMIT_PAGE_SECONDS = 20.0, 0.5
_FIRST, _DAYS = datetime(2026, 10, 1, tzinfo=UTC), 31
_STUDIES = 200
_AT_ONCE = 5000
_REPOSITORY = Path(__file__).parent.parent


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - each takes long enough
    """Two rows for each shape on SQLite, and the same on PostgreSQL."""
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    server = PostgresServer()
    server.start()
    os.environ.update(server.passwords)
    rows: list[Row] = []
    try:
        for number, shape in enumerate(SHAPES):
            server.execute(f"CREATE DATABASE month{number}")
            for name, url in (("SQLite", "sqlite"), ("PostgreSQL", server.url(f"month{number}"))):
                rows += _rows(name, shape, _measured(scratch / f"month{number}-{name}", url, shape))
    finally:
        server.stop()
    return rows


def _measured(folder: Path, url: str, shape: tuple[int, int]) -> dict[str, float]:
    folder.mkdir()
    slot = Slot(folder, STUDY, database=url)
    slot.prepare()
    environment = slot.environment | {"PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}"}
    command = [sys.executable, "-m", "benchmarks.month", *map(str, shape)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rows(name: str, shape: tuple[int, int], found: dict[str, float]) -> list[Row]:
    what = f"report of a month, {shape[0]:,} arrivals of {shape[1]}, {name}"
    took, page = found["report"], found["page"]
    return [
        Row(what, seconds(took), "processor time here", seconds(found["processor"]), took, _LIMIT_SECONDS, "s"),
        Row("a listing meanwhile", seconds(page), "alone", seconds(found["alone"]), page, _LIMIT_PAGE_SECONDS, "s"),
    ]  # fmt: skip


def _fill(arrivals: int, items: int) -> None:
    from django.db import connection, transaction

    from dropslot.acknowledgments.models import Acknowledgment
    from dropslot.arrivals.models import Arrival, Delivery, Place

    chance = random.Random(5)
    place = Place.objects.create(url="/elsewhere")
    step = timedelta(days=_DAYS) / arrivals
    for start in range(0, arrivals, _AT_ONCE):
        made = [_arrival(n, _FIRST + n * step, chance) for n in range(start, min(start + _AT_ONCE, arrivals))]
        rows = [
            _delivery(one, place, item, items) for one in made if one.state == "done" for item in range(items)
        ]
        with transaction.atomic():
            Arrival.objects.bulk_create(made)
            stored = Delivery.objects.bulk_create(rows)
            Acknowledgment.objects.bulk_create(_fetch(row, chance) for row in stored if row.item[-1] in "05")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _arrival(number: int, at: datetime, chance: random.Random) -> Any:
    from ulid import ULID

    from dropslot.arrivals.models import Arrival

    milliseconds = int(at.timestamp() * 1000).to_bytes(6, "big")
    study, is_refused = f"study{chance.randrange(_STUDIES)}", number % 50 == 7
    return Arrival(
        id=str(ULID.from_bytes(milliseconds + number.to_bytes(10, "big"))),
        route="route", inbox="/elsewhere/inbox", name=f"{study}-visit{number}", name_bytes=b"", is_folder=True,
        sender="ann", fields={"study": study}, state="failed" if is_refused else "done", items=10, size_bytes=4096,
        dropped_at=at, received_at=at, finished_at=at + timedelta(seconds=chance.expovariate(0.1)),
    )  # fmt: skip


def _delivery(arrival: Any, place: Any, item: int, items: int) -> Any:
    from dropslot.arrivals.models import Delivery

    name = f"{arrival.name}/{item if items > 1 else int(arrival.name[-1])}"
    return Delivery(
        arrival=arrival, place=place, item=name, stored_as=name, version=1, outcome="delivered", sha256="0" * 64,
        size_bytes=4096, mtime_ns=0,
    )  # fmt: skip


def _fetch(row: Any, chance: random.Random) -> Any:
    from ulid import ULID

    from dropslot.acknowledgments.models import Acknowledgment

    at = row.arrival.dropped_at + timedelta(hours=chance.expovariate(0.1))
    return Acknowledgment(
        id=str(ULID()), delivery=row, user="north", address="10.0.0.1", at=at, evidence="whole", log="log", line=b"",
        recorded_at=at,
    )  # fmt: skip


def _run() -> dict[str, float]:
    """The report counted in a thread, as the portal does, while this one asks for a page of the history."""
    from dropslot.arrivals.models import Arrival, Delivery
    from dropslot.config import current
    from dropslot.reports.daily_counts import Seen, report
    from dropslot.reports.months import Month

    seen = Seen(
        "",
        Arrival.objects.all(),
        Delivery.objects.filter(arrival__state="done"),
        {"route": "study"},
        {"route"},
    )
    took: list[float] = []

    def count() -> None:
        begun, worked = time.perf_counter(), time.thread_time()
        found = report(Month(2026, 10), current().zone, seen)
        took.extend((time.perf_counter() - begun, time.thread_time() - worked))
        print(found.total, file=sys.stderr)

    alone = _page_seconds()
    thread = threading.Thread(target=count)
    thread.start()
    pages = [_page_seconds()]
    while thread.is_alive():
        pages.append(_page_seconds())
    return {"report": took[0], "processor": took[1], "page": max(pages), "alone": alone}


def _page_seconds() -> float:
    from dropslot.arrivals.listings import cursor_pages
    from dropslot.arrivals.listings.queries import Filter
    from dropslot.arrivals.models import Delivery

    begun = time.perf_counter()
    cursor_pages.deliveries(Delivery.objects.filter(arrival__state="done"), Filter(), "", 50)
    return time.perf_counter() - begun


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
    django.setup()
    _fill(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(_run()))
