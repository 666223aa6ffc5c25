"""A fresh file system for every trial: ext4 slows down ten-fold where large trees were just deleted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BYTES_AN_INODE = 256 + 4096


@contextmanager
def fresh_disk(scratch: Path, *, payload_bytes: int, files: int, direct: bool = True) -> Iterator[Path]:
    """A new ext4 with room for `files` and `payload_bytes`, both twice; gone afterwards. Needs root.

    Not `direct`: what is written out goes to the page cache of the disk that holds the image."""
    image, point = scratch / "disk.img", scratch / "disk"
    size = 2 * (payload_bytes + files * _BYTES_AN_INODE) * 5 // 4 + (256 << 20)
    inodes = 2 * files + 50_000
    image.touch()
    os.truncate(image, size)
    point.mkdir(exist_ok=True)
    # Inode tables written now, not by the kernel in the background while a trial is timed.
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    run("mkfs.ext4", "-q", "-F", "-E", lazy, "-N", str(inodes), str(image))
    # Past the page cache of what holds the image: a disk has none above it, and all bytes would be copied once more.
    device = run(
        "losetup", f"--direct-io={'on' if direct else 'off'}", "--find", "--show", str(image)
    ).strip()
    try:
        run("mount", device, str(point))
        try:
            yield point
        finally:
            run("umount", str(point))
    finally:
        run("losetup", "--detach", device)
        image.unlink()
        point.rmdir()


def run(*command: str | Path) -> str:
    """A command that must succeed: what it prints, which is shown only when it does not."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed: {done.stdout}{done.stderr}")
    return done.stdout


def settle_disk(disk: Path) -> None:
    """Write out what is dirty, so that a trial pays for its own writes only."""
    run("sync", "--file-system", str(disk))
