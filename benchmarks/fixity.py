"""How fast stored files are read and compared with their SHA-256, without a limit, by the process that does it on a
schedule. The files are in memory, so that no disk is measured.

The peers are `sha256sum` of the same files, and what one processor of this machine hashes that is in its cache. By
the clock two threads read, on two processors; by processor time other programs change little.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.report import Row
from benchmarks.slot import STUDY, Slot

_MEMORY = Path("/dev/shm")
_MB = 1_000_000
_LARGE, _SMALL = (40, 25 * _MB), (20_000, 50_000)  # files, bytes
_HASHED_SECONDS = 1.0
_LIMIT = 0.8
_ROUND = """
import json, sys, time
from pathlib import Path
import django
from dropslot.cli import startup
startup.choose(Path(sys.argv[1]))
django.setup()
from dropslot.config import current
from dropslot.keeping.models import FixityRound
from dropslot.keeping.process import Keeper
keeper = Keeper(current(), lambda: None)
FixityRound.objects.create(began_at="2026-01-01T00:00:00Z")  # late: nothing is waited for
begun, processor = time.perf_counter(), time.process_time()
while FixityRound.objects.get().ended_at is None:
    keeper.step()
row = FixityRound.objects.get()
found = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}
print(json.dumps(found | {"files": row.files, "bytes": row.size_bytes, "outcome": row.outcome}))
"""


class Rates(NamedTuple):
    """Bytes a second."""

    processor: float
    clock: float


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - in memory
    """Medians; the contenders take turns."""
    rows: list[Row] = []
    for what, files, size in (("files of 25 MB", *_LARGE), ("files of 50 KB", *_SMALL)):
        with tempfile.TemporaryDirectory(prefix="dropslot-fixity-", dir=_MEMORY) as folder:
            slot = _filled(Path(folder), files, size)
            trios = [
                (_round(slot, files, size), _sha256sum(slot, files, size), _hashed()) for _ in range(trials)
            ]
        limit = _LIMIT if size >= _MB else None
        rows += _rows(f"{files:,} {what}", trios, limit)
    return rows


def _rows(what: str, trios: list[tuple[Rates, Rates, Rates]], limit: float | None) -> list[Row]:
    rows = []
    for field, how in (("clock", "by the clock"), ("processor", "of processor time")):
        ours, theirs, best = (median(getattr(one, field) for one in of) for of in zip(*trios, strict=True))
        peers = (
            ("SHA-256 of what is in one processor's cache", best, limit),
            ("sha256sum", theirs, None),
        )
        rows += [
            Row(
                f"{what}, a second {how}", _shown(ours), peer, _shown(rate), ours / rate, least, at_most=False
            )
            for peer, rate, least in peers
        ]
        limit = None
    return rows


def _shown(rate: float) -> str:
    return f"{rate / _MB:,.0f} MB/s"


def _filled(folder: Path, files: int, size: int) -> Slot:
    """An installation with these files delivered."""
    slot = Slot(folder, STUDY, fixity="30d")
    slot.prepare()
    visit = slot.inbox / "heart-1"
    visit.mkdir()
    block = os.urandom(size)
    for number in range(files):
        (visit / f"{number:06}").write_bytes(number.to_bytes(8, "big") + block[8:])
    slot.drain()
    return slot


def _round(slot: Slot, files: int, size: int) -> Rates:
    """Of a whole round, with its record."""
    _forget_rounds(slot)
    done = subprocess.run(
        [sys.executable, "-c", _ROUND, str(slot.config)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent / "src")},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    if (found["files"], found["bytes"], found["outcome"]) != (files, files * size, "ok"):
        raise RuntimeError(f"not all was read: {found}")
    return Rates(files * size / float(found["processor"]), files * size / float(found["seconds"]))


def _forget_rounds(slot: Slot) -> None:
    import sqlite3

    database = sqlite3.connect(slot.root / "var" / "dropslot.sqlite3")
    with database:
        database.execute("DELETE FROM dropslot_fixity_round")
    database.close()


def _sha256sum(slot: Slot, files: int, size: int) -> Rates:
    begun, before = time.perf_counter(), _processor_of_children()
    pipe = "find . -type f -not -path '*/.dropslot/*' -print0 | xargs -0 sha256sum | wc -l"
    found = subprocess.run(["sh", "-c", pipe], cwd=slot.destination, capture_output=True, check=True)
    seconds = time.perf_counter() - begun
    if int(found.stdout) != files:
        raise RuntimeError(f"sha256sum has read {found.stdout!r} files")
    return Rates(files * size / (_processor_of_children() - before), files * size / seconds)


def _processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _hashed() -> Rates:
    buffer, digest, count = bytes(256 << 10), hashlib.sha256(), 0
    begun, before = time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < _HASHED_SECONDS:
        digest.update(buffer)
        count += len(buffer)
    return Rates(count / (time.process_time() - before), count / (time.perf_counter() - begun))
