"""A FUSE file system that behaves as some server would: `python odd_fuse.py SOURCE POINT BEHAVIOUR…`, until unmounted.

lost-answers    a link is made, and answered as if the name had been taken: an NFS server whose first answer was lost
no-folder-sync  a folder cannot be synced
no-modes        modes and owners are what they are, as on FAT
whole-seconds   times are whole seconds
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import mfusepy


class Odd(mfusepy.Operations):  # type: ignore[misc]
    """Passes everything on to a folder, but for its behaviours."""

    use_ns = True

    def __init__(self, root: str, behaviours: set[str]) -> None:
        self._root, self._behaviours = root, behaviours

    def _real(self, path: str) -> str:
        return self._root + path

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        seen = os.fstat(fh) if fh is not None else os.lstat(self._real(path))
        names = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
        times = ("st_atime", "st_mtime", "st_ctime")
        unit = 1_000_000_000 if "whole-seconds" in self._behaviours else 1
        shown = {name: getattr(seen, name) for name in names}
        if "no-modes" in self._behaviours:
            shown["st_mode"] |= 0o777
        return shown | {name: getattr(seen, f"{name}_ns") // unit * unit for name in times}

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, Any], int]]:
        names = [
            ".",
            "..",
            *os.listdir(self._real(path)),
        ]  # an entry without an inode number would be left out
        return [(name, self.getattr(os.path.join(path, name)), 0) for name in names]

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._real(path), mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._real(path))

    def unlink(self, path: str) -> None:
        os.unlink(self._real(path))

    def link(self, target: str, source: str) -> None:
        os.link(self._real(source), self._real(target), follow_symlinks=False)
        if "lost-answers" in self._behaviours:
            raise mfusepy.FuseOSError(errno.EEXIST)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self._real(target))

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        if flags:
            raise mfusepy.FuseOSError(errno.EINVAL)
        os.rename(self._real(old), self._real(new))

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._real(path), flags & ~(os.O_CREAT | os.O_EXCL))

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._real(path) if fh is None else fh, length)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        if "no-folder-sync" in self._behaviours:
            raise mfusepy.FuseOSError(errno.EINVAL)

    def chmod(self, path: str, mode: int) -> None:
        if "no-modes" in self._behaviours:
            raise mfusepy.FuseOSError(errno.EPERM)
        os.chmod(self._real(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        if "no-modes" in self._behaviours:
            raise mfusepy.FuseOSError(errno.EPERM)
        os.chown(self._real(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._real(path), ns=times, follow_symlinks=False)  # type: ignore[arg-type]

    def statfs(self, path: str) -> dict[str, int]:
        seen = os.statvfs(self._real(path))
        return {
            name: getattr(seen, name)
            for name in (
                "f_bavail",
                "f_bfree",
                "f_blocks",
                "f_bsize",
                "f_favail",
                "f_ffree",
                "f_files",
                "f_frsize",
                "f_namemax",
            )
        }


if __name__ == "__main__":
    source, point, *behaviours = sys.argv[1:]
    mfusepy.FUSE(Odd(source, set(behaviours)), point, foreground=False, use_ino=True, nothreads=True)
