"""What a claim with its delivery, a batch, a page, a search, purge, verify and metrics cost after 10^5, 10^6 and 10^7
deliveries on PostgreSQL; dropslot after 10^5 is its own peer. docs/growth.md says what follows from that.

`python -m benchmarks.growth_model COUNT…` fills and measures by itself, in an installation that DROPSLOT_CONFIG names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import django

from benchmarks.report import Row, ratio
from benchmarks.slot import RESULTS, Slot

COUNTS = (100_000, 1_000_000, 10_000_000)
_WAITING = 100_000
_DROPS = 300
_REPOSITORY = Path(__file__).parent.parent
# Costs that must not grow with what is recorded; the others are shown.
_FLAT = ("arrival", "batch", "page", "middle", "search")
_LIMIT = 1.5
_numbers = count()


def measure(scratch: Path, trials: int) -> list[Row]:
    """A row for each cost and number of deliveries."""
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    server = PostgresServer()
    server.start()
    try:
        server.execute("CREATE DATABASE growth")
        slot = Slot(scratch, RESULTS | {"grace": 0}, database=server.url("growth"))
        environment = slot.environment | server.passwords
        environment |= {"PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}"}
        os.environ.update(server.passwords)
        # The newest receipt must be one of this key: those of the rows below are of none.
        (slot.inbox / "first.pdf").write_bytes(b"first")
        slot.prepare()
        counts = [int(word) for word in os.environ.get("GROWTH", "").split()] or list(COUNTS)
        command = [sys.executable, "-m", "benchmarks.growth_model", str(trials), *map(str, counts)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        # The other lines are those of deliveries.
        return _rows([json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")])
    finally:
        server.stop()


def _rows(found: list[dict[str, Any]]) -> list[Row]:
    first = found[0]
    rows = []
    for one in found[1:]:
        for what, seconds in one["seconds"].items():
            limit = _LIMIT if what in _FLAT else None
            peer = f"after {first['deliveries']:,}"
            name = f"{_WORDS[what]} after {one['deliveries']:,} deliveries"
            rows.append(ratio(name, seconds, peer, first["seconds"][what], limit))
    return rows


_WORDS = {
    "arrival": "an arrival, from drop to done",
    "batch": f"a batch of 128 is taken while {_WAITING:,} wait",
    "page": "the newest page of deliveries",
    "middle": "a page in the middle",
    "search": "a page of one sender",
    "purge": "purge looks for what is old enough",
    "verify": "the chain is verified",
    "metrics": "metrics are made",
}


def main(trials: int, counts: list[int]) -> None:
    """Print one JSON object for each number of deliveries."""
    from benchmarks import growth_rows

    before = 0
    for deliveries in counts:
        begun = time.perf_counter()
        growth_rows.fill(before, deliveries)
        before = deliveries
        say(f"{deliveries:,} deliveries are there after {time.perf_counter() - begun:.0f} s")
        sizes = _sizes()
        for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:20]:
            say(f"  {name}: {size / 1e6:,.0f} MB, {size / deliveries:.0f} bytes a delivery")
        seconds = {}
        for what, step in _STEPS.items():
            repeated = trials if what in _FLAT else 1
            seconds[what] = median(step() for _ in range(repeated))
            say(f"  {_WORDS[what]}: {seconds[what] * 1000:,.2f} ms")
        print(json.dumps({"deliveries": deliveries, "seconds": seconds, "bytes": sizes}), flush=True)
        _try_remedies()


def _try_remedies() -> None:
    """Indexes that would make purge and listings by time quicker, with their cost; they are dropped afterwards."""
    from django.db import connection

    for what, index, step in (
        ("purge", "(archived_as, finished_at) WHERE state = 'done' AND archived_as <> ''", _purge),
        ("purge", "USING brin (finished_at)", _purge),
    ):
        with connection.cursor() as cursor:
            begun = time.perf_counter()
            cursor.execute(f"CREATE INDEX tried ON dropslot_arrival {index}")
            made = time.perf_counter() - begun
            cursor.execute("VACUUM ANALYZE dropslot_arrival")
            cursor.execute("SELECT pg_relation_size('tried')")
            size = cursor.fetchone()[0]
            say(
                f"  with an index {index}, {size / 1e6:.1f} MB, made in {made:.1f} s, {_WORDS[what]}: {step():.2f} s"
            )
            cursor.execute("DROP INDEX tried")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def timed(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def _arrival() -> float:
    """Seconds an arrival, with everything that `drain` does besides its start."""
    from dropslot.arrivals.workers.drain import drain
    from dropslot.config import current

    inbox = Path(current().routes["route"].inbox)
    for _ in range(_DROPS):
        (inbox / f"new{next(_numbers):06}-{os.getpid()}.pdf").write_bytes(os.urandom(4096))
    return drain(current(), now=True).work_seconds / _DROPS


def _batch() -> float:
    """The batch is given back, and those that wait are gone afterwards."""
    from django.db import connection, transaction

    from dropslot.arrivals.workers.leases import take_next

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_QUEUE, [_WAITING])
        cursor.execute("ANALYZE dropslot_arrival")
        seconds = timed(lambda: take_next("bench:1:a", timedelta(minutes=1), lambda _: False))
        transaction.set_rollback(True)
    return seconds


_QUEUE = """
INSERT INTO dropslot_arrival (id, route, inbox, name, name_bytes, is_folder, in_place, sender, location, fields, state,
    reason, attempts, epoch, worker, evidence, dropped_at, received_at, archived_as, rank)
SELECT '01M' || lpad(n::text, 23, '0'), 'route', '/elsewhere/inbox', 'waits' || n, 'x', false, false, 'tech', '', '{}',
    'ready', '[]', 0, 0, '', '{}', now(), now(), '', 1000000000 + n
FROM generate_series(1, %s) AS n
"""


def _page(cursor: str = "", **wanted: Any) -> float:
    from dropslot.arrivals.listings import cursor_pages
    from dropslot.arrivals.listings.queries import Filter
    from dropslot.arrivals.models import Delivery

    return timed(lambda: cursor_pages.history(Delivery.objects.all(), Filter(**wanted), cursor))


def _middle() -> float:
    from django.db.models import Max

    from dropslot.arrivals.models import Delivery

    newest = Delivery.objects.aggregate(newest=Max("id"))["newest"]
    return _page(str(newest // 2))


def _purge() -> float:
    from dropslot.keeping.removing.purge import purgeable

    return timed(lambda: list(purgeable(datetime(2024, 1, 1, 1, tzinfo=UTC))))


def _verify() -> float:
    from dropslot.audit.verifying import verify

    def events() -> None:
        report = verify.ChainReport()
        verify._verify_events(report, "default")  # noqa: SLF001 - receipts here are no receipts
        if report.faults:
            raise RuntimeError(f"the chain does not verify: {report.faults[:3]}")

    return timed(events)


def _metrics() -> float:
    from dropslot.arrivals.metrics.numbers import Numbers

    list(Numbers().collect())  # the first time all of the trail is read, up to a limit
    return timed(lambda: list(Numbers().collect()))


_STEPS: dict[str, Callable[[], float]] = {
    "arrival": _arrival,
    "batch": _batch,
    "page": _page,
    "middle": _middle,
    "search": lambda: _page(sender="tech7"),
    "purge": _purge,
    "verify": _verify,
    "metrics": _metrics,
}


def _sizes() -> dict[str, int]:
    """Bytes of each table of ours and of each index."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class"
            " WHERE relname LIKE 'dropslot%%' AND relkind IN ('r', 'i')"
        )
        return dict(cursor.fetchall())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
    django.setup()
    main(int(sys.argv[1]), [int(word) for word in sys.argv[2:]])
