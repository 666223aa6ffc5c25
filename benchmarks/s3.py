"""Wall time of a whole tree into an object store, against rclone.

The store is SeaweedFS on this machine, on a fresh disk with the tree; a small file is sent before a clock starts, for
`drain` by rclone. dropslot is a running service with one worker, from the rename into the inbox until the arrival is in
done; and once more `drain`, which first loads the SDK and tries whether the store keeps conditions. Its objects are
refused if their key is there (If-None-Match), have their SHA-256 with them, and are recorded in the database and by a
manifest when its clock stops; rclone has none of this to do. Its flags are those that made it quickest here: many
transfers, no look at what it has sent, no MD5 of what it sends in parts.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import inotify_simple

from benchmarks.contenders import RCLONE_PROGRAM, Timed, lay_out
from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.object_store import BUCKET, KEY, SECRET, ObjectStore, storing
from benchmarks.report import Row, ratio, seconds
from benchmarks.slot import Slot
from benchmarks.sources import BIG, MIXED, Source

DROPSLOT, DRAIN, RCLONE = "dropslot", "dropslot drain", "rclone copy (s3)"
_TRIAL, _SMALL = "trial-of-speed", "small"
_PATIENCE_MS = 120_000
_LIMIT = 1.0
CASES = {"mixed": MIXED, "big": BIG}
Contender = Callable[[Path, Path, ObjectStore], Timed]
RCLONE_FLAGS = [
    "--transfers=16",
    "--checkers=16",
    "--s3-no-head",
    "--s3-no-check-bucket",
    "--s3-disable-checksum",
    "--s3-chunk-size=16M",
    "--s3-upload-concurrency=8",
    "--no-traverse",
]


def measure(scratch: Path, trials: int) -> list[Row]:
    """All cases."""
    return [row for key in CASES for row in measure_one(key, scratch, trials)]


def measure_one(key: str, scratch: Path, trials: int) -> list[Row]:
    """One case: each contender on a fresh disk, in an order that turns with each trial; medians."""
    source = CASES[key]
    tree = source.in_cache(scratch)
    times: dict[str, list[Timed]] = defaultdict(list)
    for trial in range(trials):
        names = list(CONTENDERS)[:: 1 if trial % 2 else -1]
        for name in names:
            times[name].append(_trial(CONTENDERS[name], source, tree, scratch))
            print(
                f"  {source.title}, trial {trial + 1}, {name}: {seconds(times[name][-1].work_seconds)}",
                flush=True,
            )
    ours, drain, theirs = (
        median(timed.work_seconds for timed in times[name]) for name in (DROPSLOT, DRAIN, RCLONE)
    )
    startup = median(timed.startup_seconds for timed in times[DRAIN])
    return [
        ratio(f"{source.title} to SeaweedFS", ours, RCLONE, theirs, _LIMIT),
        ratio("… by drain, without its start", drain, RCLONE, theirs, None),
        Row("… start of drain, shown apart", seconds(startup), "", "", None, 0),
    ]


def _trial(contender: Contender, source: Source, tree: Path, scratch: Path) -> Timed:
    with (
        fresh_disk(scratch, payload_bytes=source.size_bytes, files=source.files) as disk,
        storing(disk / "server") as store,
    ):
        timed = contender(disk, lay_out(tree, disk), store)
        if (found := store.holds("trial/")) != (source.files, source.size_bytes):
            raise RuntimeError(f"the store holds {found}, not {source.files}, {source.size_bytes}")
        return timed


def _slot(disk: Path, store: ObjectStore) -> Slot:
    os.environ |= {"BENCH_KEY": KEY, "BENCH_SECRET": SECRET}
    to = {
        "to": f"s3://{BUCKET}/{{study}}/raw-data",
        "endpoint": store.endpoint,
        "access_key": "BENCH_KEY",
        "secret_key": "BENCH_SECRET",
    }
    route = {"takes": "directories", "name": r"(?P<study>\w+)-.+", "grace": 0, "deliver": [to]}
    slot = Slot(disk, route, worker_count=1)
    slot.prepare()
    return slot


def _service(disk: Path, tree: Path, store: ObjectStore) -> Timed:
    slot = _slot(disk, store)
    with slot.running(), inotify_simple.INotify() as inotify:
        inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
        _drop(slot, _small(disk), f"{_SMALL}-one", inotify)
        settle_disk(disk)
        begun = time.perf_counter()
        _drop(slot, tree, _TRIAL, inotify)
        return Timed(time.perf_counter() - begun)


def _drop(slot: Slot, tree: Path, name: str, inotify: inotify_simple.INotify) -> None:
    """Into the inbox; waits until it is in done."""
    tree.rename(slot.inbox / name)
    if not inotify.read(timeout=_PATIENCE_MS):
        raise RuntimeError(f"{name} was not done in time: {slot.arrivals()}")


def _small(disk: Path) -> Path:
    """A tree of one small file, for what a contender does once."""
    tree = disk / _SMALL
    tree.mkdir()
    (tree / "first.txt").write_bytes(b"first")
    return tree


def _drain(disk: Path, tree: Path, store: ObjectStore) -> Timed:
    slot = _slot(disk, store)
    _copy(_small(disk), store, _SMALL)
    tree.rename(slot.inbox / _TRIAL)
    settle_disk(disk)
    drained = slot.drain()
    if [arrival["state"] for arrival in slot.arrivals()] != ["done"]:
        raise RuntimeError("dropslot did not finish the arrival")
    return Timed(drained.work_seconds, drained.startup_seconds)


def _rclone(disk: Path, tree: Path, store: ObjectStore) -> Timed:
    _copy(_small(disk), store, _SMALL)
    settle_disk(disk)
    begun = time.perf_counter()
    _copy(tree, store, "trial")
    return Timed(time.perf_counter() - begun)


def _copy(tree: Path, store: ObjectStore, study: str) -> None:
    """By rclone."""
    place = (
        f":s3,provider=SeaweedFS,env_auth=false,access_key_id={KEY},secret_access_key={SECRET},"
        f"endpoint='{store.endpoint}':{BUCKET}/{study}/raw-data"
    )
    command = [RCLONE_PROGRAM, "copy", "--config", "", "--quiet", *RCLONE_FLAGS, str(tree), place]
    subprocess.run(command, check=True)


CONTENDERS: Mapping[str, Contender] = {DROPSLOT: _service, DRAIN: _drain, RCLONE: _rclone}
