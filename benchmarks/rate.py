"""One-file arrivals a second, from the first rename into the inbox to the last one in done, synced and recorded.

The peer is the shell loop that people write: copy, sync, checksum, move away, one file after the other.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from statistics import median

import inotify_simple

from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row
from benchmarks.slot import RESULTS, Slot

_ARRIVALS = 6_000
_PEER_ARRIVALS = 600
_LIMIT_A_SECOND = 900
_PATIENCE_SECONDS = 300

_LOOP = """
cd "$1"
for f in inbox/*; do
    n=${f##*/}
    cp "$f" "stored/$n" && sync "stored/$n" && sha256sum "stored/$n" >> sums && sync sums && mv "$f" done/
done
"""


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians of the rates."""
    ours = median(_of_dropslot(scratch) for _ in range(trials))
    theirs = median(_of_loop(scratch) for _ in range(trials))
    peer = f"shell loop: cp, sync, sha256sum, mv ({ours / theirs:.2f} ×)"
    what = "one-file arrivals, sustained"
    return [Row(what, f"{ours:.0f}/s", peer, f"{theirs:.0f}/s", ours, _LIMIT_A_SECOND, "/s", at_most=False)]


def _of_dropslot(scratch: Path) -> float:
    with fresh_disk(scratch, payload_bytes=_ARRIVALS * 4096, files=_ARRIVALS * 4) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0})  # a second once, however many arrivals there are
        slot.prepare()
        outgoing = _files(disk / "outgoing", _ARRIVALS)
        with slot.running(), inotify_simple.INotify() as inotify:
            inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
            _warm_up(slot, inotify)
            return _ARRIVALS / _seconds_for_all(slot, outgoing, inotify)


def _warm_up(slot: Slot, inotify: inotify_simple.INotify) -> None:
    """One arrival before the clock starts."""
    first = slot.root / "first"
    first.write_bytes(os.urandom(4096))
    first.rename(slot.inbox / "first.pdf")
    if not inotify.read(timeout=60_000):
        raise RuntimeError("the first arrival was not done in a minute")


def _seconds_for_all(slot: Slot, outgoing: Path, inotify: inotify_simple.INotify) -> float:
    begun = time.perf_counter()
    archived = 0
    for file in sorted(outgoing.iterdir()):
        file.rename(slot.inbox / file.name)
        archived += len(inotify.read(timeout=0))
    while archived < _ARRIVALS:
        if time.perf_counter() > begun + _PATIENCE_SECONDS:
            raise RuntimeError(f"{_ARRIVALS - archived} arrivals were not done in {_PATIENCE_SECONDS} s")
        archived += len(inotify.read(timeout=1000))
    return time.perf_counter() - begun


def _of_loop(scratch: Path) -> float:
    with fresh_disk(scratch, payload_bytes=_PEER_ARRIVALS * 4096, files=_PEER_ARRIVALS * 4) as disk:
        _files(disk / "inbox", _PEER_ARRIVALS)
        for name in ("stored", "done"):
            (disk / name).mkdir()
        begun = time.perf_counter()
        subprocess.run(["sh", "-c", _LOOP, "sh", str(disk)], check=True)
        return _PEER_ARRIVALS / (time.perf_counter() - begun)


def _files(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"result{number:05}.pdf").write_bytes(os.urandom(4096))
    settle_disk(folder.parent)
    return folder
