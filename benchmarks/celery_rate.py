"""Celery's workers beside local ones, on PostgreSQL: one-file arrivals a second, the byte rate of large arrivals, and
what a second worker adds to work that no disk bounds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import inotify_simple

from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.rate import files, warm_up
from benchmarks.report import Row
from benchmarks.server import serving
from benchmarks.slot import RESULTS, Slot

ARRIVALS = 4_000
_RATE_LIMIT = 500
_LARGE = 6
_LARGE_BYTES = 1 << 30
_LARGE_LIMIT = 0.9
_COMPUTED = 256
_SENT = 4
_SENT_BYTES = 36 << 20  # each is taken alone
_ROUND_TRIP_SECONDS = 0.2
_SECOND_LIMIT = 1.7
_PATIENCE_SECONDS = 120
_CHECK = """
import hashlib
from dropslot.checks.base import Check

class Computes(Check):
    def check_item(self, item):
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 120_000)
        return ()
"""


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians."""
    with _servers() as keys:
        celery, local = ({**keys, "workers": kind, "worker_count": 2} for kind in ("celery", "local"))
        rows = [_rate(scratch, trials, celery, local), _bytes(scratch, trials, celery, local)]
        one = celery | {"worker_count": 1}
        rows.append(_second("each computes for a while", _computed, scratch, trials, celery, one))
        rows.append(_second("large files to a server that is far away", _sent, scratch, trials, celery, one))
    return rows


@contextmanager
def _servers() -> Iterator[dict[str, Any]]:
    """Keys of config.yaml for a PostgreSQL and a Redis that end with the block; the password is in the environment."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from brokers import Redis  # type: ignore[import-not-found, unused-ignore]
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    redis, server = Redis(), PostgresServer(durable=True)
    server.start()
    redis.start()
    os.environ.update(server.passwords)
    try:
        yield {"database": server, "broker": redis.url}
    finally:
        redis.close()
        server.stop()


@contextmanager
def _slot(disk: Path, route: Mapping[str, Any], keys: Mapping[str, Any]) -> Iterator[Slot]:
    """An installation in a database of its own."""
    name = f"bench{time.monotonic_ns()}"
    server = keys["database"]
    server.execute(f"CREATE DATABASE {name}")
    try:
        slot = Slot(disk, {"grace": 0, **route}, **{**keys, "database": server.url(name)})
        (slot.root / "plugins").mkdir()
        (slot.root / "plugins" / "benchcheck.py").write_text(_CHECK)
        slot.prepare()
        yield slot
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _seconds(slot: Slot, outgoing: Sequence[Path]) -> float:
    """From the first rename into the inbox until all are in done."""
    with slot.running(), inotify_simple.INotify() as inotify:
        inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
        warm_up(slot, inotify)
        begun, archived = time.perf_counter(), 0
        for file in outgoing:
            file.rename(slot.inbox / file.name)
        while archived < len(outgoing):
            if time.perf_counter() > begun + _PATIENCE_SECONDS:
                raise RuntimeError(f"{len(outgoing) - archived} arrivals were not done in time")
            archived += len(inotify.read(timeout=1000))
        return time.perf_counter() - begun


def _rate(scratch: Path, trials: int, celery: Mapping[str, Any], local: Mapping[str, Any]) -> Row:
    def per_second(keys: Mapping[str, Any]) -> float:
        with (
            fresh_disk(scratch, payload_bytes=ARRIVALS * 4096, files=ARRIVALS * 4) as disk,
            _slot(disk, RESULTS, keys) as slot,
        ):
            return ARRIVALS / _seconds(slot, sorted(files(disk / "outgoing", ARRIVALS).iterdir()))

    ours, theirs = _in_turn(trials, lambda: per_second(celery), lambda: per_second(local))
    peer = f"2 local workers ({ours / theirs:.2f} ×)"
    what = "one-file arrivals, 2 workers of Celery"
    return Row(what, f"{ours:.0f}/s", peer, f"{theirs:.0f}/s", ours, _RATE_LIMIT, "/s", at_most=False)


def _bytes(scratch: Path, trials: int, celery: Mapping[str, Any], local: Mapping[str, Any]) -> Row:
    def megabytes(keys: Mapping[str, Any]) -> float:
        size = _LARGE * _LARGE_BYTES
        with fresh_disk(scratch, payload_bytes=size, files=1000) as disk, _slot(disk, RESULTS, keys) as slot:
            return size / 1e6 / _seconds(slot, _written(disk, _LARGE, _LARGE_BYTES))

    ours, theirs = _in_turn(trials, lambda: megabytes(celery), lambda: megabytes(local))
    what = f"{_LARGE} arrivals of {_LARGE_BYTES >> 20} MiB, 2 workers of Celery"
    shown = (f"{ours:.0f} MB/s", "2 local workers", f"{theirs:.0f} MB/s")
    return Row(what, *shown, ours / theirs, _LARGE_LIMIT, at_most=False)


def _second(
    what: str, trial: Any, scratch: Path, trials: int, two: Mapping[str, Any], one: Mapping[str, Any]
) -> Row:
    with_two, with_one = _in_turn(trials, lambda: trial(scratch, two), lambda: trial(scratch, one))
    shown = (f"{with_two:.2f} s", "1 worker", f"{with_one:.2f} s")
    return Row(f"2 workers, {what}", *shown, with_one / with_two, _SECOND_LIMIT, at_most=False)


def _in_turn(trials: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float]:
    """The medians of both. They take turns, since the disk of a machine has its moods."""
    pairs = [(one(), other()) for _ in range(trials)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _computed(scratch: Path, keys: Mapping[str, Any]) -> float:
    route = RESULTS | {"checks": [{"benchcheck.Computes": None}]}
    with (
        fresh_disk(scratch, payload_bytes=_COMPUTED * 4096, files=_COMPUTED * 4) as disk,
        _slot(disk, route, keys) as slot,
    ):
        return _seconds(slot, sorted(files(disk / "outgoing", _COMPUTED).iterdir()))


def _sent(scratch: Path, keys: Mapping[str, Any]) -> float:
    """Each file fills the connection for some round trips; the disk is idle meanwhile."""
    size = _SENT * _SENT_BYTES
    with (
        fresh_disk(scratch, payload_bytes=size, files=1000) as disk,
        serving(disk / "server", _ROUND_TRIP_SECONDS) as server,
    ):
        target = {"to": f"sftp://root@127.0.0.1:{server.port}{disk}/sent", "key": str(server.key)}
        (disk / "sent").mkdir()
        route = RESULTS | {"deliver": [target | {"known_hosts": str(server.known_hosts)}]}
        with _slot(disk, route, keys) as slot:
            return _seconds(slot, _written(disk, _SENT, _SENT_BYTES))


def _written(disk: Path, count: int, size_bytes: int) -> list[Path]:
    folder = disk / "large"
    folder.mkdir()
    block = os.urandom(1 << 20)
    made = [folder / f"large{number:03}.bin" for number in range(count)]
    for path in made:
        with path.open("wb") as stream:
            for number in range(size_bytes >> 20):
                stream.write(number.to_bytes(4, "big") + block[4:])
    settle_disk(disk)
    return made
