"""What an arrival costs after 1,000,000 recorded deliveries, against after 10,000: dropslot is its own peer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row, ratio
from benchmarks.slot import RESULTS, Slot

_FEW, _MANY = 10_000, 1_000_000
_ARRIVALS = 500
_LIMIT = 1.10
_DATABASE_BYTES = 2_000_000_000
_REPOSITORY = Path(__file__).parent.parent


def measure(scratch: Path, trials: int) -> list[Row]:
    """One row; trials with few and with many recorded deliveries take turns."""
    preloaded = {count: _preloaded(scratch, count) for count in (_FEW, _MANY)}
    costs: dict[int, list[float]] = {_FEW: [], _MANY: []}
    for trial in range(trials):
        for count in sorted(preloaded, reverse=bool(trial % 2)):
            costs[count].append(_cost(scratch, preloaded[count]))
            print(
                f"  {count:,} recorded, trial {trial + 1}: {costs[count][-1] * 1000:.2f} ms an arrival",
                flush=True,
            )
    few, many = median(costs[_FEW]), median(costs[_MANY])
    return [ratio(f"an arrival after {_MANY:,} deliveries", many, f"after {_FEW:,}", few, _LIMIT)]


def _preloaded(scratch: Path, count: int) -> Path:
    """A data folder with that many recorded deliveries, made once for all trials of a run."""
    kept = scratch / "preloaded" / str(count)
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        print(f"  recording {count:,} deliveries", flush=True)
        with _disk(scratch) as disk:
            slot = Slot(disk, RESULTS)
            slot.prepare()
            environment = slot.environment | {"PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}"}
            command = [sys.executable, "-m", "benchmarks.preload", str(count), str(slot.destination)]
            subprocess.run(command, env=environment, check=True)
            partial = kept.with_suffix(".partial")
            shutil.copytree(slot.root / "var", partial, ignore=_sockets)
            partial.rename(kept)
    return kept


def _cost(scratch: Path, preloaded: Path) -> float:
    """Seconds an arrival."""
    with _disk(scratch) as disk:
        slot = Slot(disk, RESULTS)
        shutil.copytree(preloaded, slot.root / "var")
        for number in range(_ARRIVALS):
            (slot.inbox / f"new{number:04}.pdf").write_bytes(os.urandom(4096))
        settle_disk(disk)
        return slot.drain().work_seconds / _ARRIVALS


def _disk(scratch: Path) -> AbstractContextManager[Path]:
    return fresh_disk(scratch, payload_bytes=_DATABASE_BYTES, files=_ARRIVALS * 4)


def _sockets(folder: str, names: list[str]) -> list[str]:
    """What copytree cannot copy."""
    return [name for name in names if not ((path := Path(folder) / name).is_file() or path.is_dir())]
