"""Ways to get a tree from here to there on one disk, each timed; the result of each is looked at."""

from __future__ import annotations

import shutil
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
CP_SHA256SUM = "cp -r, then sha256sum"
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


def cp_sha256sum(disk: Path, tree: Path, source: Source) -> Timed:
    target = disk / "copied"
    settle_disk(disk)
    begun = time.perf_counter()
    run("cp", "-r", tree, target)
    run("sh", "-c", f"cd {target} && find . -type f -print0 | xargs -0 sha256sum > {disk}/sums")
    spent = time.perf_counter() - begun
    must_hold(target, source)
    return Timed(spent)


def cp_sync(disk: Path, tree: Path, source: Source) -> Timed:
    target = disk / "copied"
    settle_disk(disk)
    begun = time.perf_counter()
    run("cp", "-r", tree, target)
    settle_disk(disk)
    spent = time.perf_counter() - begun
    must_hold(target, source)
    return Timed(spent)


def dd(disk: Path, tree: Path, source: Source) -> Timed:  # noqa: ARG001
    settle_disk(disk)
    begun = time.perf_counter()
    count = f"count={source.size_bytes}"
    run("dd", "if=/dev/zero", f"of={disk}/bytes", "bs=1M", "iflag=count_bytes", count, "conv=fsync")
    return Timed(time.perf_counter() - begun)


CONTENDERS: dict[str, Callable[[Path, Path, Source], Timed]] = {
    DROPSLOT: dropslot,
    RSYNC: _copier("rsync", "-a"),
    RSYNC_FSYNC: _copier("rsync", "-a", "--fsync"),
    RCLONE: _copier("rclone", "copy", "--checksum", "--quiet", "--config", ""),
    CP_SHA256SUM: cp_sha256sum,
    CP_SYNC: cp_sync,
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
