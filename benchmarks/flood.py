"""Memory of the watcher with a million entries in an inbox at once, against ten thousand: dropslot is its own peer."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.memory import Peak
from benchmarks.report import Row
from benchmarks.slot import RESULTS, Slot

_FEW, _MANY = 10_000, 1_000_000
_TAKEN = 8_000  # arrivals, before the look ends: scans and claims are under way then
_PATIENCE_SECONDS = 900
_LIMIT = 1.5


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - a peak needs no median
    """One row."""
    entries = int(os.environ.get("FLOOD", _MANY))
    few, many = _watcher(scratch, _FEW), _watcher(scratch, entries)
    what = f"memory of the watcher, {entries:,} entries at once"
    peer = f"{_FEW:,} entries"
    return [Row(what, f"{many:.0f} MB RSS", peer, f"{few:.0f} MB RSS", many / few, _LIMIT)]


def _watcher(scratch: Path, entries: int) -> float:
    """The largest memory of the watcher's process, in MB, until some thousand arrivals are done."""
    with fresh_disk(scratch, payload_bytes=entries * 4096, files=entries * 2 + 100_000) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0, "settle": "1s"})
        slot.prepare()
        for number in range(entries):
            os.close(os.open(slot.inbox / f"result{number:07}.pdf", os.O_CREAT | os.O_WRONLY, 0o600))
        settle_disk(disk)
        with slot.running():
            peak = Peak()
            peak.watch(_pid(slot), lambda: len(os.listdir(slot.done)) >= _TAKEN, _PATIENCE_SECONDS)
            return peak.rss


def _pid(slot: Slot) -> int:
    """Of the watcher: its file on the board begins with a number and its pid."""
    return int(struct.unpack_from("<II", (slot.root / "var/processes/watcher").read_bytes())[1])
