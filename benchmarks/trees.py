"""Wall time of a whole tree, against programs that copy."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.contenders import (
    CONTENDERS,
    CP_SHA256SUM,
    CP_SYNC,
    DD,
    DROPSLOT,
    RCLONE,
    RSYNC,
    RSYNC_FSYNC,
    RSYNC_SYNC,
    RSYNC_SYNC_SHA256SUM,
    Timed,
    lay_out,
)
from benchmarks.disks import fresh_disk
from benchmarks.report import Row, ratio, seconds
from benchmarks.sources import BIG, MIXED, SMALL, Source

# Without a limit: what proves less (rsync without syncs for the large file), other programs, and what people would have
# to do for the same guarantees.
_OTHERS = {RSYNC_SYNC: None, RSYNC_SYNC_SHA256SUM: None, RCLONE: None, CP_SHA256SUM: None}
_LIMITS: dict[str, tuple[Source, dict[str, float | None]]] = {
    "mixed": (MIXED, {RSYNC: 0.8, **_OTHERS, DD: None}),
    "big": (BIG, {RSYNC_FSYNC: 0.55, RSYNC: None, **_OTHERS, DD: None}),
    "small": (SMALL, {RSYNC: 1.06, **_OTHERS, CP_SYNC: None}),
}
_MEASURES_OF_THE_DISK = (DD, CP_SYNC)


def measure(scratch: Path, trials: int, *, direct: bool = True) -> list[Row]:
    """All three trees; `direct`: on a disk that has no page cache above it, as disks have none."""
    return [row for key in _LIMITS for row in measure_one(key, scratch, trials, direct=direct)]


def measure_one(key: str, scratch: Path, trials: int, *, direct: bool = True) -> list[Row]:
    """One tree: each contender on a fresh disk, in an order that turns with each trial; medians."""
    source, limits = _LIMITS[key]
    tree = source.in_cache(scratch)
    times: dict[str, list[Timed]] = defaultdict(list)
    for trial in range(trials):
        for name in _turned([DROPSLOT, *limits], trial):
            times[name].append(_trial(name, source, tree, scratch, direct=direct))
            print(
                f"  {source.title}, trial {trial + 1}, {name}: {seconds(times[name][-1].work_seconds)}",
                flush=True,
            )
    return _rows(source, limits, times)


def _trial(name: str, source: Source, tree: Path, scratch: Path, *, direct: bool) -> Timed:
    with fresh_disk(scratch, payload_bytes=source.size_bytes, files=source.files, direct=direct) as disk:
        return CONTENDERS[name](disk, lay_out(tree, disk), source)


def _turned(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def _rows(source: Source, limits: dict[str, float | None], times: dict[str, list[Timed]]) -> list[Row]:
    middle = {name: median(timed.work_seconds for timed in of) for name, of in times.items()}
    startup = median(timed.startup_seconds for timed in times[DROPSLOT])
    rows = [
        Row("… what the disk needs", "", peer, seconds(middle[peer]), None, 0)
        if peer in _MEASURES_OF_THE_DISK
        else ratio(source.title, middle[DROPSLOT], peer, middle[peer], limit)
        for peer, limit in limits.items()
    ]
    return [*rows, Row("… start of drain, shown apart", seconds(startup), "", "", None, 0)]
