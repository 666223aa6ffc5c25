"""The state of a tree now: whether it holds something unfinished, and whether it has changed since the last look."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from hashlib import blake2b
from typing import NamedTuple

from dropslot.watching.temporary import Inside

# Never follows a link, and never opens (so never blocks on) anything but a directory.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODULUS = 1 << 128

SLICE = 500  # entries between two yields, about 3 ms


class Look(NamedTuple):
    """If two looks are equal, no name, size, mtime or ctime below differs. `size_bytes` is the sum over the regular
    files; `newest_ns` the latest ctime. With names only, these and `digest` are 0.

    `unfinished` is the path of an unfinished name, the first in sorted order; empty if there is none.
    """

    digest: int
    entries: int
    size_bytes: int
    holds_file: bool  # anything but folders and litter; an unreadable folder counts as a file
    newest_ns: int
    unfinished: str

    @property
    def is_whole(self) -> bool:
        """Nothing says that more is to come."""
        return self.holds_file and not self.unfinished


class _Disturbed(Exception):
    """The tree was rearranged under the walk."""


def look(
    path: str, top: os.stat_result, inside: Inside, *, names_only: bool = False
) -> Generator[None, None, Look | None]:
    """Walk the entry whose lstat is `top`, yielding each SLICE entries; returns None when it changed under
    the walk.

    `inside` judges the names below; folders that are litter are not entered. With `names_only` no entry below is
    examined by itself: a few system calls for each folder. Works by directory descriptors and holds at most three of
    them at any depth. An unreadable folder counts with its own lstat: whether it may be taken is not decided here.
    Raises FileNotFoundError when the top itself is gone.
    """
    walk = _Walk(top, inside, names_only)
    if stat.S_ISDIR(top.st_mode):
        try:
            yield from walk.run(os.open(path, _FOLDER))
        except (_Disturbed, NotADirectoryError):
            return None
        except PermissionError:
            walk.holds_file = True  # only the lstat of the top can be compared
    return walk.seen()


def look_at_names(path: str, top: os.stat_result, inside: Inside) -> Look | None:
    """`look` at names only, without yielding. Raises FileNotFoundError."""
    steps = look(path, top, inside, names_only=True)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            seen: Look | None = end.value
            return seen


class _Level(NamedTuple):
    """A folder whose entries are known, and which of its folders are still to be walked."""

    identity: tuple[int, int]
    todo: list[str]


class _Walk:
    """Depth first. The way back up is `..`, checked by inode, so that depth costs no descriptors."""

    def __init__(self, top: os.stat_result, inside: Inside, names_only: bool = False) -> None:
        self._top = (top.st_dev, top.st_ino)
        self._inside = inside
        self._names_only = names_only
        self._sum = 0 if names_only else _hash(b"", top)
        self._entries = 1
        self._size = top.st_size if stat.S_ISREG(top.st_mode) else 0
        self.holds_file = not stat.S_ISDIR(top.st_mode)
        self._newest_ns = top.st_ctime_ns
        self._unfinished = ""
        # A running hash of the way down represents the path, which may be longer than PATH_MAX.
        self._way = [b""]
        self._names: list[str] = []

    def seen(self) -> Look:
        return Look(self._sum, self._entries, self._size, self.holds_file, self._newest_ns, self._unfinished)

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
                        self._names.pop()
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
        if self._inside.is_unfinished(entry.name):
            path = "/".join((*self._names, entry.name))
            self._unfinished = min(self._unfinished or path, path)
        is_folder = entry.is_dir(follow_symlinks=False) if self._names_only else self._compare(entry)
        if is_folder:
            return not self._inside.is_litter(entry.name)
        # Only until there is one: most names are not litter.
        self.holds_file = self.holds_file or not self._inside.is_litter(entry.name)
        return False

    def _compare(self, entry: os.DirEntry[str]) -> bool:
        """Add the visible state of one entry to the sums; returns whether it is a folder to walk."""
        way = self._way[-1] + os.fsencode(entry.name)
        try:
            status = entry.stat(follow_symlinks=False)
        except PermissionError:  # a folder that may be listed but not searched: its names count
            self._sum = (self._sum + _hash(way, None)) % _MODULUS
            return False
        except FileNotFoundError as error:
            raise _Disturbed from error
        # A sum, not a chain: the order in which a directory lists its names may differ from look to look.
        self._sum = (self._sum + _hash(way, status)) % _MODULUS
        if status.st_ctime_ns > self._newest_ns:
            self._newest_ns = status.st_ctime_ns
        if stat.S_ISREG(status.st_mode):
            self._size += status.st_size
        return stat.S_ISDIR(status.st_mode)

    def _enter(self, folder: int, name: str) -> int | None:
        try:
            child = os.open(name, _FOLDER, dir_fd=folder)
        except PermissionError:
            self.holds_file = True
            return None
        except OSError as error:
            raise _Disturbed from error
        try:
            os.close(os.open("..", _PLACE, dir_fd=child))
        except PermissionError:  # it can be listed but not searched: there would be no way back
            os.close(child)
            self.holds_file = True
            return None
        self._names.append(name)
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
    # No inode: some FUSE file systems give a new number at each look-up.
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
