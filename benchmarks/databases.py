"""PostgreSQL in place of SQLite: how long a move takes, and what an idle service asks.

A private PostgreSQL of the tests; needs pgbouncer, behind which nobody is woken.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Row, ratio
from benchmarks.slot import RESULTS, Slot

_REPOSITORY = Path(__file__).parent.parent
_FEW, _MANY = 10_000, 1_000_000
_IDLE_SECONDS = 60.0
_LATENCIES = 20


def measure_move(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - one run each
    """`migrate_data` with a million deliveries, against pg_restore of the same rows, and its memory against few."""
    with _server() as server:
        few, many = (_move(scratch / f"move{count}", server, count) for count in (_FEW, _MANY))
        restored = _restore(scratch, server, f"moved{_MANY}")
    return [
        ratio(
            f"migrate_data, {many[1]:,} rows, compared", many[0], "pg_restore, not compared", restored, None
        ),
        Row(
            f"its memory with {many[1]:,} rows",
            f"{many[2]} MB",
            f"with {few[1]:,} rows",
            f"{few[2]} MB",
            many[2] / few[2],
            1.5,
        ),
    ]


def _move(disk: Path, server: Any, count: int) -> tuple[float, int, int]:
    """Seconds, rows, megabytes."""
    disk.mkdir()
    slot = Slot(disk, RESULTS)
    slot.prepare()
    environment = slot.environment | {"PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}"}
    preload = [sys.executable, "-m", "benchmarks.preload", str(count), str(slot.destination)]
    subprocess.run(preload, env=environment, check=True)
    server.execute(f"CREATE DATABASE moved{count}")
    begun = time.perf_counter()
    process = subprocess.Popen(
        slot.command("migrate_data", "--to", server.url(f"moved{count}")),
        env=slot.environment | server.passwords,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = status
    found = re.search(r"([\d,]+) rows: every value is the same", said)
    if status or not found:
        raise RuntimeError(f"migrate_data ended with {status}: {said}")
    print(f"  {count:,} deliveries: {seconds:.1f} s, {usage.ru_maxrss >> 10} MB", flush=True)
    return seconds, int(found[1].replace(",", "")), usage.ru_maxrss >> 10


def _restore(scratch: Path, server: Any, name: str) -> float:
    environment = os.environ | server.passwords
    dump = scratch / "dump"
    subprocess.run(["pg_dump", "-Fc", "-f", dump, server.url(name)], env=environment, check=True)
    server.execute("CREATE DATABASE restored")
    begun = time.perf_counter()
    subprocess.run(["pg_restore", "-d", server.url("restored"), dump], env=environment, check=True)
    return time.perf_counter() - begun


def measure_idle(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - one run each
    """Transactions a second of an idle service, and the time until another process is woken; the peer polls."""
    from pgbouncer import pooled  # type: ignore[import-not-found, unused-ignore]

    with _server() as server:
        for name in ("woken", "polling"):
            server.execute(f"CREATE DATABASE {name}")
        woken = _idle(scratch / "woken", server, server.url("woken"))
        with pooled(server.url("polling"), server.passwords["PGPASSWORD"]) as through:
            polling = _idle(scratch / "polling", server, through)
    rate = Row(
        "transactions a second of an idle service",
        f"{woken[0]:.2f}",
        "looking each second",
        f"{polling[0]:.2f}",
        woken[0] / polling[0],
        0.5,
    )
    return [
        rate,
        ratio(
            "from a commit to the look of another process", woken[1], "looking each second", polling[1], 0.2
        ),
    ]


def _idle(disk: Path, server: Any, url: str) -> tuple[float, float]:
    """Two workers and the calls after a delivery; transactions a second, and the median of the times."""
    disk.mkdir()
    slot = Slot(disk, RESULTS, database=url)
    os.environ.update(server.passwords)
    with slot.running():
        before = _transactions(server, disk.name)
        threading.Event().wait(_IDLE_SECONDS)
        rate = (_transactions(server, disk.name) - before) / _IDLE_SECONDS
        latency = median(_latency(server, slot, disk.name, number) for number in range(_LATENCIES))
    print(f"  {url}: {rate:.2f} transactions a second, {latency * 1000:.1f} ms", flush=True)
    return rate, latency


def _transactions(server: Any, name: str) -> int:
    import psycopg

    with psycopg.connect(server.url("postgres"), password=server.passwords["PGPASSWORD"]) as connection:
        row = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", [name]
        ).fetchone()
    assert row
    return int(row[0])


def _latency(server: Any, slot: Slot, name: str, number: int) -> float:
    """Seconds from the commit of an arrival's retry, by another process, until a worker has taken it."""
    import psycopg

    with psycopg.connect(
        server.url(name), password=server.passwords["PGPASSWORD"], autocommit=True
    ) as connection:
        if not number:
            slot.destination.rmdir()  # so it is never delivered, and retried later and later
            (slot.inbox / "one").write_bytes(b"1")
        _until(connection, "SELECT 1 FROM dropslot_arrival WHERE state = 'retrying' AND due_at > now()")
        threading.Event().wait(0.37 * (number % 3))  # not in step with who looks each second
        [(epoch,)] = connection.execute("SELECT epoch FROM dropslot_arrival").fetchall()
        with connection.transaction():
            connection.execute("UPDATE dropslot_arrival SET due_at = NULL, attempts = 4")
            connection.execute("SELECT pg_notify('dropslot_events', 'retry-asked')")
        begun = time.perf_counter()
        _until(connection, f"SELECT 1 FROM dropslot_arrival WHERE epoch > {epoch}")
        return time.perf_counter() - begun


def _until(connection: Any, question: str) -> None:
    while not connection.execute(question).fetchone():
        threading.Event().wait(0.001)


@contextmanager
def _server() -> Iterator[Any]:
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    server = PostgresServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
