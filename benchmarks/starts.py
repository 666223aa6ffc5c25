"""How long commands take that have hardly anything to do: Python, Django, the configuration, the database."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.disks import run
from benchmarks.report import Row, seconds
from benchmarks.slot import STUDY, Slot

_RUNS_A_TRIAL = 5
_LIMITS_SECONDS = {"history": 0.3, "drain --now": 0.4}


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians; everything was compiled to bytecode by a run before."""
    slot = Slot(scratch / "starts", STUDY)
    slot.prepare()
    return [_row(slot, command, limit, trials) for command, limit in _LIMITS_SECONDS.items()]


def _row(slot: Slot, command: str, limit: float, trials: int) -> Row:
    slot.run(*command.split())
    taken = [_timed(slot, command) for _ in range(trials * _RUNS_A_TRIAL)]
    python = [_timed_python() for _ in range(trials * _RUNS_A_TRIAL)]
    middle = median(taken)
    peer = "python -c pass"
    return Row(f"dropslot {command}", seconds(middle), peer, seconds(median(python)), middle, limit, "s")


def _timed(slot: Slot, command: str) -> float:
    begun = time.perf_counter()
    slot.run(*command.split())
    return time.perf_counter() - begun


def _timed_python() -> float:
    begun = time.perf_counter()
    run(sys.executable, "-c", "pass")
    return time.perf_counter() - begun
