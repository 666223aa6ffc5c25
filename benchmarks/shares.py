"""One large arrival with one and with two workers, where the disk is not the limit; and how long a small arrival waits
behind a large one.

The disk is memory. To a server: each connection gets 12 MB a second, as over a long line. Into a folder: each worker is
bound to one processor, as on two machines with one processor each and a common storage.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Row, ratio, seconds
from benchmarks.server import Server, serving
from benchmarks.slot import STUDY, Slot

_MIB = 1 << 20
_FILE_BYTES = 8 * _MIB
_FAR_FILES, _NEAR_FILES = 40, 160
_BYTES_A_SECOND = 12e6
_SINGLE_BYTES = 1500 * _MIB
_LIMIT = 1 / 1.7
_SMALL_LIMIT_SECONDS = 2.0
_PATIENCE_SECONDS = 300
_MEMORY = Path("/dev/shm")


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - the disk is memory
    """Medians, the two counts of workers in turn."""
    with tempfile.TemporaryDirectory(prefix="dropslot-bench-", dir=_MEMORY) as folder:
        rows = [
            _compared("to a server, 12 MB/s in each connection", Path(folder), trials, far=True),
            _compared("into a folder, a processor for each worker", Path(folder), trials, far=False),
        ]
        return [*rows, _behind_a_large_one(Path(folder), trials)]


def _write_tree(tree: Path, files: int) -> Path:
    data = random.Random(5)
    for number in range(files):
        path = tree / f"run{number // 20}" / f"part{number:03}.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.randbytes(_FILE_BYTES))
    return tree


def _compared(what: str, folder: Path, trials: int, *, far: bool) -> Row:
    files = _FAR_FILES if far else _NEAR_FILES
    tree = _write_tree(folder / "tree", files)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(trials):
        for workers, of in times.items():
            of.append(_trial(folder / "disk", tree, workers, far=far))
            print(f"  {what}, workers {workers}: {seconds(of[-1])}", flush=True)
    one, two = median(times[1]), median(times[2])
    shutil.rmtree(tree)
    title = f"{files * _FILE_BYTES // 1_000_000} MB in {files} files, {what}, two workers"
    return ratio(title, two, f"one worker ({one / two:.2f} times as fast)", one, _LIMIT)


def _trial(disk: Path, tree: Path, workers: int, *, far: bool) -> float:
    disk.mkdir()
    try:
        if not far:
            return _timed(disk, tree, STUDY, workers)
        with serving(disk / "server", bytes_a_second=_BYTES_A_SECOND) as server:
            return _timed(disk, tree, STUDY | {"deliver": [_to(server, disk)]}, workers)
    finally:
        shutil.rmtree(disk)


def _to(server: Server, disk: Path) -> dict[str, Any]:
    (disk / "there").mkdir()
    return {
        "to": f"sftp://root@127.0.0.1:{server.port}{disk}/there/{{study}}/raw-data",
        "create_folders": True,
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
    }


def _timed(disk: Path, tree: Path, route: Mapping[str, Any], workers: int) -> float:
    with _service(disk, dict(route), workers) as slot:
        incoming = slot.root / "incoming"
        shutil.copytree(tree, incoming)
        return _seconds_until_done(slot, incoming, "trial-of-shares")


@contextmanager
def _service(disk: Path, route: dict[str, Any], workers: int) -> Iterator[Slot]:
    slot = Slot(disk, route | {"grace": 0}, worker_count=workers)
    slot.prepare()
    with slot.running():
        pids = _wait_for(lambda: _workers(slot, workers))
        if route["deliver"] == STUDY["deliver"]:
            for number, pid in enumerate(pids):
                os.sched_setaffinity(pid, {number % (os.cpu_count() or 1)})
        yield slot


def _workers(slot: Slot, count: int) -> list[int]:
    """The process ids of all that take work, in the order of their start, when all have started. The workers are next
    to each other, and the process that waits for `after` calls is started last."""
    log = slot.root / "var" / "logs" / "dropslot.jsonl"
    if not log.exists() or log.read_text().count('"worker_started"') <= count:
        return []
    names = os.listdir(slot.root / "var" / "workers")
    return sorted((int(name.rsplit(":", 2)[1]) for name in names if not name.startswith(".")), key=_started)


def _started(pid: int) -> tuple[int, int]:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid


def _wait_for(found: Any) -> Any:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.005)
    raise RuntimeError("it did not happen in time")


def _seconds_until_done(slot: Slot, incoming: Path, name: str) -> float:
    begun = time.perf_counter()
    incoming.rename(slot.inbox / name)
    _wait_for((slot.done / name).exists)
    return time.perf_counter() - begun


def _behind_a_large_one(folder: Path, trials: int) -> Row:
    """One worker, one file, and another file that comes when the first one is being staged."""
    waits, wholes = [], []
    for _ in range(trials):
        (folder / "disk").mkdir()
        try:
            small, large = _wait_of_a_small_one(folder / "disk")
        finally:
            shutil.rmtree(folder / "disk")
        waits.append(small)
        wholes.append(large)
        print(f"  a small arrival waited {seconds(small)}, the large one {seconds(large)}", flush=True)
    what = f"a small arrival behind one file of {_SINGLE_BYTES // 1_000_000} MB, one worker"
    ours, theirs = median(waits), median(wholes)
    return Row(
        what,
        seconds(ours),
        "what was left of the large one",
        seconds(theirs),
        ours,
        _SMALL_LIMIT_SECONDS,
        "s",
    )


def _wait_of_a_small_one(disk: Path) -> tuple[float, float]:
    """Seconds from the drop of the small one until it is done, and until the large one is."""
    with _service(disk, {"takes": "files", "deliver": [{"to": "./studies"}]}, 1) as slot:
        large, small = slot.root / "large", slot.root / "small"
        with large.open("wb") as file:
            block = random.Random(6).randbytes(_MIB)
            for _ in range(_SINGLE_BYTES // _MIB):
                file.write(block)
        small.write_bytes(b"small")
        large.rename(slot.inbox / "large")
        stage = slot.destination / ".dropslot" / "stage"
        _wait_for(stage.exists)
        waited = _seconds_until_done(slot, small, "small")
        begun = time.perf_counter()
        _wait_for((slot.done / "large").exists)
        return waited, waited + time.perf_counter() - begun
