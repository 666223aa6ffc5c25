"""Wall time of a whole tree into an object store, against rclone.

The store is SeaweedFS on this machine, on a fresh disk with the tree. dropslot's objects are refused if their key is
there (If-None-Match), have their SHA-256 with them, and are recorded in the database and by a manifest when its clock
stops; rclone has none of this to do. Its flags are those that made it quickest here: many transfers, no look at what it
has sent, no MD5 of what it sends in parts.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from benchmarks.contenders import RCLONE_PROGRAM, Timed, lay_out
from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.object_store import BUCKET, KEY, SECRET, ObjectStore, storing
from benchmarks.report import Row, ratio, seconds
from benchmarks.slot import Slot
from benchmarks.sources import BIG, MIXED, Source

DROPSLOT, RCLONE = "dropslot", "rclone copy (s3)"
_TRIAL = "trial-of-speed"
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
    ours, theirs = (median(timed.work_seconds for timed in times[name]) for name in (DROPSLOT, RCLONE))
    startup = median(timed.startup_seconds for timed in times[DROPSLOT])
    return [
        ratio(f"{source.title} to SeaweedFS", ours, RCLONE, theirs, _LIMIT),
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


def _dropslot(disk: Path, tree: Path, store: ObjectStore) -> Timed:
    os.environ |= {"BENCH_KEY": KEY, "BENCH_SECRET": SECRET}
    to = {
        "to": f"s3://{BUCKET}/{{study}}/raw-data",
        "endpoint": store.endpoint,
        "access_key": "BENCH_KEY",
        "secret_key": "BENCH_SECRET",
    }
    slot = Slot(disk, {"takes": "directories", "name": r"(?P<study>\w+)-.+", "deliver": [to]})
    slot.prepare()
    tree.rename(slot.inbox / _TRIAL)
    settle_disk(disk)
    drained = slot.drain()
    if [arrival["state"] for arrival in slot.arrivals()] != ["done"]:
        raise RuntimeError("dropslot did not finish the arrival")
    return Timed(drained.work_seconds, drained.startup_seconds)


def _rclone(disk: Path, tree: Path, store: ObjectStore) -> Timed:
    place = (
        f":s3,provider=SeaweedFS,env_auth=false,access_key_id={KEY},secret_access_key={SECRET},"
        f"endpoint='{store.endpoint}':{BUCKET}/trial/raw-data"
    )
    settle_disk(disk)
    begun = time.perf_counter()
    subprocess.run(
        [RCLONE_PROGRAM, "copy", "--config", "", "--quiet", *RCLONE_FLAGS, str(tree), place], check=True
    )
    return Timed(time.perf_counter() - begun)


CONTENDERS: Mapping[str, Contender] = {DROPSLOT: _dropslot, RCLONE: _rclone}
