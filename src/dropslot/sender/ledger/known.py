"""What the paths of this PC held when they were sent, by folder: a look at 100,000 known files reads it at once."""

from __future__ import annotations

import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_NOTHING: Mapping[str, tuple[int, int]] = {}


class Packed(NamedTuple):
    """The files of one folder: names, with NUL between them; sizes and times as 64-bit numbers."""

    names: str
    sizes: bytes
    times: bytes

    def unpacked(self) -> dict[str, tuple[int, int]]:
        """Size and time by name. Raises ValueError if it is damaged."""
        sizes, times = array("q"), array("q")
        sizes.frombytes(self.sizes)
        times.frombytes(self.times)
        return dict(zip(self.names.split("\0"), zip(sizes, times, strict=True), strict=True))


class Known:
    """Size and time of each path, by its folder and name."""

    def __init__(self, folders: Mapping[str, Packed], others: Iterable[str] = ()) -> None:
        """`others` are paths that are not to be known: they are looked at more closely."""
        self._folders = folders
        self._others: dict[str, set[str]] = defaultdict(set)
        self._last: tuple[str, Mapping[str, tuple[int, int]]] = ("\0", _NOTHING)
        for source in others:
            folder, name = split(source)
            self._others[folder].add(name)

    def within(self, folder: str) -> Mapping[str, tuple[int, int]]:
        """Size and time of the files of one folder, by name."""
        if folder != self._last[0]:
            self._last = folder, self._unpacked(folder)
        return self._last[1]

    def _unpacked(self, folder: str) -> Mapping[str, tuple[int, int]]:
        packed = self._folders.get(folder)
        if packed is None:
            return _NOTHING
        try:
            found = packed.unpacked()
        except ValueError:  # damaged: its files are compared by their contents
            return _NOTHING
        for name in self._others.get(folder, ()):
            found.pop(name, None)
        return found

    def get(self, source: str) -> tuple[int, int] | None:
        """Size and time of one file."""
        folder, name = split(source)
        return self.within(folder).get(name)


def split(source: str) -> tuple[str, str]:
    """The folder and the name of a path, as `within` has them."""
    folder, _, name = source.rpartition(os.sep)
    return folder, name


def pack(rows: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, Packed]]:
    """Paths with sizes and times, by folder."""
    folders: dict[str, tuple[list[str], array[int], array[int]]] = {}
    for source, size, mtime in rows:
        folder, name = split(source)
        if folder not in folders:
            folders[folder] = ([], array("q"), array("q"))
        names, sizes, times = folders[folder]
        names.append(name)
        sizes.append(size)
        times.append(mtime)
    for folder, (names, sizes, times) in folders.items():
        yield folder, Packed("\0".join(names), sizes.tobytes(), times.tobytes())
