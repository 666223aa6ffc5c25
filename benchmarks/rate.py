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

ARRIVALS = 6_000
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
    with fresh_disk(scratch, payload_bytes=ARRIVALS * 4096, files=ARRIVALS * 4) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0})  # a second once, however many arrivals there are
        slot.prepare()
        outgoing = files(disk / "outgoing", ARRIVALS)
        with slot.running(), inotify_simple.INotify() as inotify:
            inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
            warm_up(slot, inotify)
            return ARRIVALS / seconds_for_all(slot, outgoing, inotify)


def warm_up(slot: Slot, inotify: inotify_simple.INotify) -> None:
    """One arrival before the clock starts."""
    first = slot.root / "first"
    first.write_bytes(os.urandom(4096))
    first.rename(slot.inbox / "first.pdf")
    if not inotify.read(timeout=60_000):
        raise RuntimeError("the first arrival was not done in a minute")


def seconds_for_all(slot: Slot, outgoing: Path, inotify: inotify_simple.INotify) -> float:
    """From the first rename into the inbox until all are in done."""
    begun = time.perf_counter()
    archived = 0
    for file in sorted(outgoing.iterdir()):
        file.rename(slot.inbox / file.name)
        archived += len(inotify.read(timeout=0))
    while archived < ARRIVALS:
        if time.perf_counter() > begun + _PATIENCE_SECONDS:
            raise RuntimeError(f"{ARRIVALS - archived} arrivals were not done in {_PATIENCE_SECONDS} s")
        archived += len(inotify.read(timeout=1000))
    return time.perf_counter() - begun


def _of_loop(scratch: Path) -> float:
    with fresh_disk(scratch, payload_bytes=_PEER_ARRIVALS * 4096, files=_PEER_ARRIVALS * 4) as disk:
        files(disk / "inbox", _PEER_ARRIVALS)
        for name in ("stored", "done"):
            (disk / name).mkdir()
        begun = time.perf_counter()
        subprocess.run(["sh", "-c", _LOOP, "sh", str(disk)], check=True)
        return _PEER_ARRIVALS / (time.perf_counter() - begun)


def files(folder: Path, count: int) -> Path:
    """Make a folder of files of 4 kB that are on the disk."""
    folder.mkdir()
    for number in range(count):
        (folder / f"result{number:05}.pdf").write_bytes(os.urandom(4096))
    settle_disk(folder.parent)
    return folder
