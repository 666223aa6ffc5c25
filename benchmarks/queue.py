"""How long a worker needs to take a batch while 100,000 arrivals wait, on SQLite and PostgreSQL. The peer is the same
with 1,000 waiting.

`python -m benchmarks.queue COUNT…` measures by itself, in the installation that DROPSLOT_CONFIG names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import django

from benchmarks.report import Row, ratio
from benchmarks.slot import RESULTS, Slot

_FEW, _MANY = 1_000, 100_000
_LIMIT = 1.5
_REPOSITORY = Path(__file__).parent.parent


def measure(scratch: Path, trials: int) -> list[Row]:
    """A row for each database."""
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    rows = [_row("SQLite", _on(scratch / "sqlite", "sqlite", {}, trials))]
    server = PostgresServer()
    server.start()
    try:
        server.execute("CREATE DATABASE queue")
        found = _on(scratch / "postgresql", server.url("queue"), server.passwords, trials)
        return [*rows, _row("PostgreSQL", found)]
    finally:
        server.stop()


def _row(database: str, found: dict[str, float]) -> Row:
    what = f"a batch of 128 is taken on {database}, {_MANY:,} waiting"
    return ratio(what, found[str(_MANY)], f"{_FEW:,} waiting", found[str(_FEW)], _LIMIT)


def _on(root: Path, database: str, passwords: dict[str, str], trials: int) -> dict[str, float]:
    root.mkdir()
    slot = Slot(root, RESULTS, database=database)
    os.environ.update(passwords)
    slot.prepare()
    environment = slot.environment | passwords | {"PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}"}
    command = [sys.executable, "-m", "benchmarks.queue", str(trials), str(_FEW), str(_MANY)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(trials: int, counts: list[int]) -> None:
    """Print the seconds by the number of arrivals that wait."""
    found = {}
    before = 0
    for number in counts:
        wait(before, number)
        before = number
        found[number] = median(_take() for _ in range(trials * 5))
    print(json.dumps(found))


def wait(before: int, number: int) -> None:
    """Let that many arrivals wait; so many do already."""
    from django.db import connection

    from dropslot.arrivals.models import Arrival

    now = datetime.now(UTC)
    for start in range(before, number, 2000):
        Arrival.objects.bulk_create(_arrival(n, now) for n in range(start, min(start + 2000, number)))
    if connection.vendor == "postgresql":  # as its autovacuum does; nothing makes statistics in SQLite
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _arrival(number: int, now: datetime) -> Any:
    from ulid import ULID

    from dropslot.arrivals.models import Arrival

    name = f"result{number:06}.pdf"
    return Arrival(
        id=str(ULID()),
        route="route",
        inbox="/elsewhere/inbox",
        name=name,
        name_bytes=name.encode(),
        is_folder=False,
        size_bytes=4096,
        sender="tech",
        state="ready",
        dropped_at=now + timedelta(microseconds=number),
        received_at=now,
        **({"rank": number} if hasattr(Arrival, "rank") else {}),
    )


def _take() -> float:
    """The batch is given back."""
    from dropslot.arrivals.models import Arrival
    from dropslot.arrivals.workers.leases import take_next

    begun = time.perf_counter()
    batch = take_next("bench:1:a", timedelta(minutes=1), lambda _: False)
    seconds = time.perf_counter() - begun
    assert len(batch) == 128, len(batch)
    Arrival.objects.filter(worker="bench:1:a").update(state="ready", worker="", attempts=0, lease_until=None)
    return seconds


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
    django.setup()
    main(int(sys.argv[1]), [int(word) for word in sys.argv[2:]])
