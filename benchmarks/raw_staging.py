"""Storage alone: list, stage, sync, publish and sync, beside rsync to the same kind of fresh file system.

    sudo PYTHONPATH=src python benchmarks/raw_staging.py [--rounds 5] [--only many|big|tiny] [--work FOLDER]

Needs root (loop mounts of fresh ext4 images), rsync and 10 GB. Each trial gets an image of its own, both sides take
turns, and the medians are compared. The sources are read once beforehand, so that both sides read from the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TREES = {
    "many": ("5,000 files of 20 to 180 KB", ["-a"], 0.80),
    "big": ("one file of 2 GB", ["-a", "--fsync"], 0.92),
    "tiny": ("100,000 files of 1 KB", ["-a"], 0.95),
}


def make_tree(kind: str, folder: Path) -> None:
    """The sample trees of the specification; random bytes, since file systems may treat zeros in their own way."""
    chance = random.Random(1)
    blob = os.urandom(1 << 20)

    def write(path: Path, size: int) -> None:
        with path.open("wb") as stream:
            while size > 0:
                at = chance.randrange(len(blob) // 2)
                size -= stream.write(blob[at : at + min(size, len(blob) // 2)])

    folders, files = {"many": (20, 250), "big": (1, 1), "tiny": (100, 1000)}[kind]
    for f in range(folders):
        inner = folder / f"series{f:03}"
        inner.mkdir(parents=True)
        for i in range(files):
            size = {"many": chance.randrange(20_000, 180_000), "big": 2_000_000_000, "tiny": 1024}[kind]
            write(inner / f"IM{i:06}.dcm", size)


@contextlib.contextmanager
def fresh_ext4(work: Path) -> Iterator[Path]:
    """A loop-mounted ext4 image that was never written to."""
    image, mount = work / "image", work / "mount"
    mount.mkdir(exist_ok=True)
    with image.open("wb") as stream:
        stream.truncate(6 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-N", "400000", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        (mount / "out").mkdir()
        os.sync()
        yield mount / "out"
    finally:
        subprocess.run(["umount", mount], check=True)
        image.unlink()


DELIVER = """
import json, os, resource, sys, time
from pathlib import Path
from dropslot.destinations.base import Planned, Source, Target
from dropslot.destinations.local import Local
from dropslot.storage.walk import list_arrival
source, out = Path(sys.argv[1]), sys.argv[2]
start = time.perf_counter()
marks = {}
def mark(name):
    marks[name] = round(time.perf_counter() - start, 3)
local = Local()
target = Target(f"{out}/arrival", out)
with local.open(target, "A" * 26, 1, "arrival") as drop:
    drop.discard_older()
    listing = list_arrival(source); mark("list")
    staged = drop.stage(Source(source, listing)); mark("stage")
    local.sync_staged([drop]); mark("sync")
    taken = drop.publish([Planned(s.path, s.path, s.sha256) for s in staged]); mark("publish")
    local.sync_names([drop]); mark("names")
    assert not taken
    total = time.perf_counter() - start
    drop.clean()
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": total, "marks": marks, "peak_mb": (own + child) / 1024}))
"""


def dropslot(source: Path, out: Path) -> float:
    """Seconds from listing to durable names, start-up of Python left out."""
    done = subprocess.run(
        [sys.executable, "-c", DELIVER, source, out], check=True, capture_output=True, text=True
    )
    result = json.loads(done.stdout)
    print("   ", result["marks"], f"{result['peak_mb']:.0f} MB", file=sys.stderr)
    return float(result["seconds"])


def rsync(options: list[str]) -> Callable[[Path, Path], float]:
    """Seconds that rsync takes."""

    def run(source: Path, out: Path) -> float:
        start = time.perf_counter()
        subprocess.run(["rsync", *options, f"{source}/", out / "arrival"], check=True)
        return time.perf_counter() - start

    return run


def compare(kind: str, work: Path, rounds: int) -> bool:
    """Print one line of the table; whether the budget was kept."""
    title, options, budget = TREES[kind]
    source = work / kind
    if not source.exists():
        make_tree(kind, source)
    subprocess.run(["grep", "-rqF", "no such text in it", source], check=False)  # reads everything once
    sides = {"dropslot": dropslot, "rsync": rsync(options)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            with fresh_ext4(work) as out:
                times[name].append(sides[name](source, out))
    ours, theirs = (statistics.median(times[name]) for name in ("dropslot", "rsync"))
    command = " ".join(["rsync", *options])
    figures = f"dropslot {ours:5.2f} s   {command:17} {theirs:5.2f} s   ratio {ours / theirs:.2f}"
    print(f"{title:30} {figures} (budget {budget})")
    print("   ", {name: [round(t, 2) for t in values] for name, values in times.items()}, file=sys.stderr)
    return ours / theirs <= budget


def main() -> int:
    """Exit status 1 when a budget was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=TREES)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="dropslot-bench-", dir="/var/tmp"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        kept = [compare(kind, work, arguments.rounds) for kind in TREES if arguments.only in (None, kind)]
    finally:
        if not arguments.work:
            shutil.rmtree(work)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
