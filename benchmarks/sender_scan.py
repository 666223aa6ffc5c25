"""How long the sender takes to see that nothing is new among 100,000 files, beside rsync with a local copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report import Row, ratio
from benchmarks.sources import SMALL
from dropslot.sender.connecting import Access, place
from dropslot.sender.ledger.bags import Bags
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.new_files.preset_scan import Wish, look
from dropslot.sender.presets.preset import Folder, Preset

_LIMIT_SECONDS, _LIMIT = 1.5, 1.0
_ACCESS = Access("sftp://drop.lab.example/inbox")


def measure(scratch: Path, trials: int) -> list[Row]:
    """Two rows: the time of the whole command, and its ratio to rsync's."""
    tree = SMALL.in_cache(scratch)
    copy, home = scratch / "copy", scratch / "sender-home"
    subprocess.run(["cp", "-a", tree, copy], check=True)
    _sent(tree, home)
    send = [
        sys.executable,
        "-m",
        "dropslot",
        "send",
        str(tree),
        "--to",
        _ACCESS.to,
        "--study",
        "heart",
        "--dry-run",
    ]
    rsync = ["rsync", "-a", "--dry-run", f"{tree}/", f"{copy}/"]
    _seconds(send, home)  # the ledger packs what was added to it: once, not at each look
    ours, theirs = [], []
    for _ in range(trials):
        ours.append(_seconds(send, home))
        theirs.append(_seconds(rsync, home))
    shutil.rmtree(copy)
    shutil.rmtree(home)
    what = "nothing new among 100,000 files"
    return [
        ratio(what, median(ours), "rsync -a --dry-run", median(theirs), _LIMIT),
        Row(f"{what}, the whole command", f"{median(ours):.2f} s", "", "", median(ours), _LIMIT_SECONDS, "s"),
    ]


def _sent(tree: Path, home: Path) -> None:
    """A ledger that says that all of it was sent."""
    home.mkdir()
    ledger = Ledger(home / "ledger.sqlite3")
    preset = Preset("heart", "heart", _ACCESS, (Folder(tree.name, tree),))
    plan, bags = look(preset, ledger, Wish(settle_seconds=0)), Bags(ledger)
    bag = bags.begin(
        "heart-1", ledger.target(place(_ACCESS.to), "heart"), _ACCESS, "", plan.new, plan.planned
    )
    if bag is None or len(plan.new) != SMALL.files:
        raise AssertionError(f"{len(plan.new)} new files")
    bags.record(bag, {}, {file.path: f"{number:064}" for number, file in enumerate(plan.new)}, [])
    bags.finish(bag)
    bags.settle(
        bag, "01A", "2026-11-29T00:00:00Z", {file.path: ("delivered", "", False) for file in plan.new}
    )
    ledger.close()


def _seconds(command: Sequence[str], home: Path) -> float:
    begun = time.perf_counter()
    done = subprocess.run(
        command,
        env=os.environ | {"DROPSLOT_SENDER_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begun
    if "dropslot" in command and not done.stdout.startswith("0 files would be sent"):
        raise AssertionError(done.stdout)
    return seconds
