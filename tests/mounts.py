"""Real file systems for a test: small, full, read-only, of a kind; unmounted afterwards. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sshd import Sshd


class Mounts:
    """File systems under one folder that every account may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []

    def tmpfs(self, size: str = "1m", *options: str) -> Path:
        """A file system in memory; `nr_inodes=…` and the like go into `options`."""
        return self._mount("tmpfs", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)))

    def ext4(self, size: str = "64M", *mkfs_options: str) -> Path:
        """A fresh ext4 in a sparse image file."""
        image = self._folder / f"image{len(self._mounted)}"
        _run("truncate", "-s", size, str(image))
        _run("mkfs.ext4", "-q", "-F", *mkfs_options, str(image))
        return self._mount(str(image), "-o", "loop")

    def with_quota(self, limit: str) -> Path:
        """A folder that may hold `limit` bytes ("4M") of a larger file system: btrfs's quota groups, which need no
        support of the kernel but its own."""
        image = self._folder / f"image{len(self._mounted)}"
        _run("truncate", "-s", "160M", str(image))  # the least that it takes is 109M
        _run("mkfs.btrfs", "-q", str(image))
        top = self._mount(str(image), "-o", "loop")
        _run("btrfs", "quota", "enable", str(top))
        _run("btrfs", "subvolume", "create", str(top / "limited"))
        self.set_quota(top / "limited", limit)
        return top / "limited"

    def set_quota(self, folder: Path, limit: str) -> None:
        """Another limit for a folder of `with_quota`."""
        _run("btrfs", "qgroup", "limit", limit, str(folder))

    def ext4_folding(self) -> Path:
        """A folder of an ext4 that takes names which differ only in case or normal form for one."""
        folder = self.ext4("64M", "-O", "casefold") / "folded"
        folder.mkdir()
        _run("chattr", "+F", str(folder))
        return folder

    def bind(self, source: Path) -> Path:
        """The same files at a second place: a rename between the two is refused as between file systems."""
        return self._mount(str(source), "--bind")

    def bindfs(self, *options: str) -> Path:
        """A folder seen through a FUSE program: names by `link` alone."""
        return self._fuse(lambda source, point: ("bindfs", *options, source, point))

    def sshfs(self, server: Sshd, *options: str) -> Path:
        """A folder of a server: each name of a file has an inode number of its own, times are whole seconds."""
        shown = (*options, "-o", f"port={server.port},IdentityFile={server.key}")
        shown += ("-o", f"UserKnownHostsFile={server.known_hosts}")
        return self._fuse(lambda source, point: ("sshfs", *shown, f"root@127.0.0.1:{source}", point))

    def ntfs_3g(self, *options: str) -> Path:
        """A fresh NTFS: no modes and no owners, unless `permissions` is among the options."""
        image = self._folder / f"image{len(list(self._folder.iterdir()))}"
        _run("truncate", "-s", "16M", str(image))
        _run("mkfs.ntfs", "-q", "-F", str(image))
        more = ("-o", ",".join(options)) if options else ()
        return self._fuse(lambda _, point: ("ntfs-3g", *more, str(image), point))

    def rclone(self) -> Path:
        """A folder through `rclone mount`: neither links nor a rename that does not replace."""
        options: tuple[str, ...] = ("--daemon", "--dir-cache-time", "0", "--vfs-cache-mode", "writes")
        options += ("--cache-dir", str(self._folder / "cache"))
        return self._fuse(lambda source, point: ("rclone", "mount", *options, source, point))

    def odd(self, *behaviours: str) -> Path:
        """A folder through a FUSE program of the tests' own: see `odd_fuse`."""
        program = (sys.executable, str(Path(__file__).with_name("odd_fuse.py")))
        return self._fuse(lambda source, point: (*program, source, point, *behaviours))

    def _fuse(self, command: Callable[[str, str], Sequence[str]]) -> Path:
        number = len(list(self._folder.iterdir()))
        source, point = self._folder / f"source{number}", self._folder / f"mount{number}"
        source.mkdir()
        point.mkdir()
        _run(*command(str(source), str(point)))
        self._mounted.append(point)
        return point

    def remount(self, mounted: Path, *options: str) -> None:
        """`remount(path, "ro")` makes it read-only at once; fails while a file is open for writing."""
        _run("mount", "-o", ",".join(("remount", *options)), str(mounted))

    def unmount(self, mounted: Path) -> None:
        self._mounted.remove(mounted)
        # Lazily: a process under test may still stand in it.
        _run("umount", "--lazy", str(mounted))

    def again(self, image: Path, point: Path) -> None:
        """Mount the image of an `ext4` that was unmounted."""
        _run("mount", "-o", "loop", str(image), str(point))
        self._mounted.append(point)

    def close(self) -> None:
        for mounted in reversed(self._mounted[:]):
            self.unmount(mounted)

    def _mount(self, what: str, *options: str) -> Path:
        point = self._folder / f"mount{len(list(self._folder.iterdir()))}"
        point.mkdir()
        _run("mount", *options, what, str(point))
        self._mounted.append(point)
        return point


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def mounts(open_folder: Path) -> Iterator[Mounts]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    made = Mounts(open_folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def lasting_mounts() -> Iterator[Mounts]:
    """As `mounts`, for what many tests use one after another."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    folder = Path(tempfile.mkdtemp(prefix="dropslot-mounts-"))
    folder.chmod(0o755)
    made = Mounts(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)
