"""Memory of `dropslot run` and all its processes: at rest, and at most during an arrival of 100,000 files.

PSS (each shared page counted once, divided among those who share it) is what the limit is on; RSS is shown beside
it. The peer is rsync with the same tree.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders import lay_out
from benchmarks.disks import fresh_disk
from benchmarks.report import Row
from benchmarks.slot import STUDY, Slot
from benchmarks.sources import SMALL

_AT_REST_LIMIT_MB = 150
_BUSY_LIMIT_MB = 300
_REST_SECONDS = 5
_TICK_SECONDS = 0.05
_PATIENCE_SECONDS = 600


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - a peak needs no median
    """Two rows: at rest, and at most."""
    tree = SMALL.in_cache(scratch)
    with fresh_disk(scratch, payload_bytes=SMALL.size_bytes, files=SMALL.files) as disk:
        rest, busy = _of_dropslot(disk, tree)
    with fresh_disk(scratch, payload_bytes=SMALL.size_bytes, files=SMALL.files) as disk:
        theirs = _of_rsync(disk, tree)
    return [
        Row("memory at rest", rest.text, "", "", rest.pss, _AT_REST_LIMIT_MB, "MB"),
        Row(
            "memory at most, 100,000 files",
            busy.text,
            "rsync -a",
            theirs.text,
            busy.pss,
            _BUSY_LIMIT_MB,
            "MB",
        ),
    ]


class Peak:
    """The largest sums seen, in MB."""

    def __init__(self) -> None:
        self.pss = 0.0
        self.rss = 0.0

    def look(self, root: int) -> None:
        sums = [_memory(pid) for pid in (root, *_descendants(root))]
        self.pss = max(self.pss, sum(pss for pss, _ in sums))
        self.rss = max(self.rss, sum(rss for _, rss in sums))

    def watch(self, root: int, until: Callable[[], bool], patience_seconds: float) -> None:
        tick, end = threading.Event(), time.monotonic() + patience_seconds
        while not until():
            if time.monotonic() > end:
                raise RuntimeError(f"not finished after {patience_seconds} s")
            self.look(root)
            tick.wait(_TICK_SECONDS)

    @property
    def text(self) -> str:
        return f"{self.pss:.0f} MB PSS, {self.rss:.0f} MB RSS"


def _of_dropslot(disk: Path, source: Path) -> tuple[Peak, Peak]:
    slot = Slot(disk, STUDY)
    slot.prepare()
    tree = lay_out(source, disk)
    rest, busy = Peak(), Peak()
    with slot.running() as process:
        _deliver_one(slot, process)
        rested = time.monotonic() + _REST_SECONDS
        rest.watch(process.pid, lambda: time.monotonic() > rested, _PATIENCE_SECONDS)
        tree.rename(slot.inbox / "trial-of-memory")
        busy.watch(process.pid, (slot.done / "trial-of-memory").exists, _PATIENCE_SECONDS)
    return rest, busy


def _deliver_one(slot: Slot, process: subprocess.Popen[bytes]) -> None:
    """At rest means: after work, when everything that is loaded at first use is there."""
    small = slot.root / "small"
    small.mkdir()
    (small / "file").write_bytes(b"small")
    small.rename(slot.inbox / "first-of-all")
    Peak().watch(process.pid, (slot.done / "first-of-all").exists, _PATIENCE_SECONDS)


def _of_rsync(disk: Path, source: Path) -> Peak:
    tree, peak = lay_out(source, disk), Peak()
    process = subprocess.Popen(["rsync", "-a", f"{tree}/", f"{disk}/copied/"])
    peak.watch(process.pid, lambda: process.poll() is not None, _PATIENCE_SECONDS)
    return peak


def _descendants(root: int) -> list[int]:
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    found: list[int] = []
    new = {root}
    while new := {pid for pid, parent in parents.items() if parent in new}:
        found += new
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        # The name in parentheses may hold blanks and parentheses of its own.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _memory(pid: int) -> tuple[float, float]:
    """PSS and RSS in MB; nothing for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    kib = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines[1:])}
    return kib.get("Pss", 0) / 1000 * 1.024, kib.get("Rss", 0) / 1000 * 1.024
