"""The numbers of this machine's processes: alive, busy, batches, memory, processor time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dropslot.arrivals.metrics.families import counter, gauge
from dropslot.running import board
from dropslot.running.board import Seen

_LABEL = ("process",)


class Processes(Collector):
    """Of those on the board of this data folder, as they are now."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def collect(self) -> Iterable[Metric]:
        return _families(board.look(self._data))


def _families(seen: list[Seen]) -> Iterator[Metric]:
    alive = [one for one in seen if one.pid]
    up = [((one.name,), float(one.pid > 0)) for one in seen]
    yield gauge("dropslot_process_up", "Whether a process of the service is alive", _LABEL, up)
    quiet = [((one.name,), one.quiet_seconds) for one in alive]
    yield gauge("dropslot_process_quiet_seconds", "Since a process gave a sign of life", _LABEL, quiet)
    busy = [((one.name,), one.counts.busy) for one in alive]
    yield gauge("dropslot_process_busy", "Whether a process works on something now", _LABEL, busy)
    held = [((one.name,), one.counts.in_hand) for one in alive]
    yield gauge("dropslot_process_in_hand", "Claims that a watcher has not recorded yet", _LABEL, held)
    for name, text, field in (
        ("batches", "Batches that a process has worked on", "batches"),
        ("arrivals", "Arrivals that a process has worked on", "arrivals"),
        ("busy_seconds", "Time that a process has worked on arrivals", "busy_seconds"),
    ):
        rows = [((one.name,), float(getattr(one.counts, field))) for one in alive]
        yield counter(f"dropslot_process_{name}", text, _LABEL, rows)
    yield from _of_system(alive)


def _of_system(alive: list[Seen]) -> Iterator[Metric]:
    used = [((one.name,), found) for one in alive if (found := _usage(one.pid)) is not None]
    memory = [(key, rss) for key, (rss, _) in used]
    yield gauge("dropslot_process_resident_memory_bytes", "Memory of a process", _LABEL, memory)
    seconds = [(key, cpu) for key, (_, cpu) in used]
    yield counter("dropslot_process_cpu_seconds", "Processor time of a process", _LABEL, seconds)


def _usage(pid: int) -> tuple[float, float] | None:
    """Resident memory in bytes, and processor time in seconds; None if it has just ended (proc(5))."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return float(pages * os.sysconf("SC_PAGE_SIZE")), ticks / os.sysconf("SC_CLK_TCK")
