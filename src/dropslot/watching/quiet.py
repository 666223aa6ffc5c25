"""What a tree looks like now, so that two looks can be compared."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from hashlib import blake2b
from typing import NamedTuple

# Never follows a link, and never opens (so never blocks on) anything but a directory.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODULUS = 1 << 128

SLICE = 500  # entries between two yields, about 3 ms


class Look(NamedTuple):
    """Two equal looks: no name, size, mtime or ctime below differs. `size_bytes` is the sum of the regular
    files'.
    """

    digest: int
    entries: int
    size_bytes: int


class _Disturbed(Exception):
    """The tree was rearranged under the walk."""


def look(path: str, top: os.stat_result) -> Generator[None, None, Look | None]:
    """Walk the entry whose lstat is `top`, yielding each SLICE entries; returns None when it changed under
    the walk.

    Works by directory descriptors and holds at most three of them at any depth. What cannot be read counts by
    its own lstat: whether it may be taken is not decided here. Raises FileNotFoundError when the top itself
    is gone.
    """
    walk = _Walk(top)
    if stat.S_ISDIR(top.st_mode):
        try:
            yield from walk.run(os.open(path, _FOLDER))
        except (_Disturbed, NotADirectoryError):
            return None
        except PermissionError:
            pass  # the lstat of the top is all there is to compare
    return walk.seen()


class _Level(NamedTuple):
    """A folder whose entries are known, and which of its folders are still to be walked."""

    identity: tuple[int, int]
    todo: list[str]


class _Walk:
    """Depth first. The way back up is `..`, checked by inode, so that depth costs no descriptors."""

    def __init__(self, top: os.stat_result) -> None:
        self._top = (top.st_dev, top.st_ino)
        self._sum = _hash(b"", top)
        self._entries = 1
        self._size = top.st_size if stat.S_ISREG(top.st_mode) else 0
        # A running hash of the way down stands for the path, which may be longer than PATH_MAX.
        self._way = [b""]

    def seen(self) -> Look:
        return Look(self._sum, self._entries, self._size)

    def run(self, folder: int) -> Iterator[None]:
        levels: list[_Level] = []
        try:
            levels.append((yield from self._read(folder)))
            if levels[0].identity != self._top:
                raise _Disturbed
            while levels:
                if levels[-1].todo:
                    child = self._enter(folder, levels[-1].todo.pop())
                    if child is not None:
                        os.close(folder)
                        folder = child
                        levels.append((yield from self._read(folder)))
                else:
                    levels.pop()
                    self._way.pop()
                    if levels:
                        folder = self._leave(folder, levels[-1].identity)
        finally:
            os.close(folder)

    def _read(self, folder: int) -> Generator[None, None, _Level]:
        todo = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._add(entry):
                    todo.append(entry.name)
                if self._entries % SLICE == 0:
                    yield
        status = os.fstat(folder)
        return _Level((status.st_dev, status.st_ino), todo)

    def _add(self, entry: os.DirEntry[str]) -> bool:
        """Count one entry; whether it is a folder to walk."""
        self._entries += 1
        try:
            status = entry.stat(follow_symlinks=False)
        except PermissionError:  # a folder that may be listed but not searched: its names count
            self._sum = (self._sum + _hash(self._way[-1] + os.fsencode(entry.name), None)) % _MODULUS
            return False
        except FileNotFoundError as error:
            raise _Disturbed from error
        # A sum, not a chain: the order in which a directory lists its names may differ from look to look.
        self._sum = (self._sum + _hash(self._way[-1] + os.fsencode(entry.name), status)) % _MODULUS
        if stat.S_ISREG(status.st_mode):
            self._size += status.st_size
        return stat.S_ISDIR(status.st_mode)

    def _enter(self, folder: int, name: str) -> int | None:
        try:
            child = os.open(name, _FOLDER, dir_fd=folder)
        except PermissionError:
            return None
        except OSError as error:
            raise _Disturbed from error
        try:
            os.close(os.open("..", _PLACE, dir_fd=child))
        except PermissionError:  # listable, not searchable: there would be no way back
            os.close(child)
            return None
        self._way.append(blake2b(self._way[-1] + os.fsencode(name), digest_size=16).digest() + b"/")
        return child

    def _leave(self, folder: int, identity: tuple[int, int]) -> int:
        try:
            parent = os.open("..", _PLACE, dir_fd=folder)
        except OSError as error:
            raise _Disturbed from error
        status = os.fstat(parent)
        if (status.st_dev, status.st_ino) != identity:
            os.close(parent)
            raise _Disturbed
        os.close(folder)
        return parent


def _hash(way: bytes, status: os.stat_result | None) -> int:
    # No inode: some FUSE file systems number anew at each look-up.
    facts = (
        b"?"
        if status is None
        else b"%d %d %d %d"
        % (
            status.st_mode,
            status.st_size if not stat.S_ISDIR(status.st_mode) else 0,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
    )
    return int.from_bytes(blake2b(way + b"\0" + facts, digest_size=16).digest(), "big")
