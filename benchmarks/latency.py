"""From the rename into the inbox to the claim, while 50 small arrivals a second come in.

Seen from outside, by inotify on the inbox: IN_MOVED_FROM is the claim. The peer is what a script on top of watchdog
does: an event handler that renames what was moved in.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import inotify_simple

from benchmarks.disks import fresh_disk
from benchmarks.report import Row, seconds
from benchmarks.slot import RESULTS, Slot

ARRIVALS_A_SECOND = 50
_ARRIVALS = 1_000
_WARM_UP = 100
_PATIENCE_SECONDS = 60
_MEDIAN_LIMIT_MS = 5
_P99_LIMIT_MS = 50

_WATCHDOG = """
import os, sys
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
inbox, processing = sys.argv[1:]
class Claim(FileSystemEventHandler):
    def on_moved(self, event): self.claim(event.dest_path)
    def on_created(self, event): self.claim(event.src_path)
    def claim(self, path):
        if os.path.exists(path): os.rename(path, os.path.join(processing, os.path.basename(path)))
observer = Observer()
observer.schedule(Claim(), inbox)
observer.start()
observer.join()
"""


def measure(scratch: Path, trials: int) -> list[Row]:  # noqa: ARG001 - a run is a thousand trials already
    """Median and 99th percentile, for dropslot and for watchdog."""
    ours = _of_dropslot(scratch)
    theirs = _of_watchdog(scratch)
    return [
        _row("rename to claim, median", median(ours), median(theirs), _MEDIAN_LIMIT_MS),
        _row("rename to claim, 99th percentile", _p99(ours), _p99(theirs), _P99_LIMIT_MS),
    ]


def _row(what: str, ours: float, theirs: float, limit_ms: float) -> Row:
    peer = f"watchdog ({ours / theirs:.2f} ×)"
    return Row(what, seconds(ours), peer, seconds(theirs), ours * 1000, limit_ms, "ms")


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def _of_dropslot(scratch: Path) -> list[float]:
    with fresh_disk(scratch, payload_bytes=_ARRIVALS * 4096, files=_ARRIVALS * 4) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0})  # a fixed second would hide what the claim itself takes
        slot.prepare()
        with slot.running():
            return _latencies(slot.inbox, disk)


def _of_watchdog(scratch: Path) -> list[float]:
    with fresh_disk(scratch, payload_bytes=_ARRIVALS * 4096, files=_ARRIVALS * 4) as disk:
        inbox, processing = disk / "inbox", disk / "processing"
        inbox.mkdir()
        processing.mkdir()
        with _script(_WATCHDOG, str(inbox), str(processing)):
            return _latencies(inbox, disk)


@contextmanager
def _script(text: str, *args: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", text, *args])
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _latencies(inbox: Path, disk: Path) -> list[float]:
    """Seconds from rename to claim of each arrival after the warm-up."""
    outgoing = disk / "outgoing"
    outgoing.mkdir()
    with inotify_simple.INotify() as inotify:
        inotify.add_watch(inbox, inotify_simple.flags.MOVED_FROM)
        _send_first(inotify, inbox, outgoing)
        return _send_paced(inotify, inbox, outgoing)


def _send_first(inotify: inotify_simple.INotify, inbox: Path, outgoing: Path) -> None:
    """Send one arrival a second until one is claimed: whoever watches is up then."""
    for number in range(_PATIENCE_SECONDS):
        _send(inbox, outgoing, f"first{number}.pdf")
        if inotify.read(timeout=1000):
            return
    raise RuntimeError("no arrival was claimed in a minute")


def _send_paced(inotify: inotify_simple.INotify, inbox: Path, outgoing: Path) -> list[float]:
    sent: dict[str, float] = {}
    claimed: dict[str, float] = {}
    begun = time.perf_counter()
    for number in range(_ARRIVALS):
        name = f"result{number:05}.pdf"
        _note_claims(inotify, claimed, until=begun + number / ARRIVALS_A_SECOND)
        sent[name] = _send(inbox, outgoing, name)
    end = time.perf_counter() + _PATIENCE_SECONDS
    while (missing := sent.keys() - claimed.keys()) and time.perf_counter() < end:
        _note_claims(inotify, claimed, until=time.perf_counter() + 0.1)
    if missing:
        raise RuntimeError(f"{len(missing)} arrivals were not claimed in a minute")
    return [claimed[name] - sent[name] for name in list(sent)[_WARM_UP:]]


def _note_claims(inotify: inotify_simple.INotify, claimed: dict[str, float], until: float) -> None:
    while (left := until - time.perf_counter()) > 0:
        for event in inotify.read(timeout=left * 1000):
            claimed[event.name] = time.perf_counter()


def _send(inbox: Path, outgoing: Path, name: str) -> float:
    """Returns when the rename began."""
    file = outgoing / name
    file.write_bytes(os.urandom(4096))
    now = time.perf_counter()
    file.rename(inbox / name)
    return now
