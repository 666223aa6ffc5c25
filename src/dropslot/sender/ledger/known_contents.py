"""What the paths of this PC held when they were sent, by folder: a look at 100,000 known files reads it at once."""

from __future__ import annotations

import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_NOTHING: Mapping[str, tuple[int, int]] = {}
_NONE: frozenset[str] = frozenset()


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
    """Size and time of each path, by its folder and name. `but_not`: subfolders of arrivals; what was sent to these
    alone is not known."""

    def __init__(
        self, folders: Mapping[str, Sequence[tuple[str, Packed]]], others: Iterable[tuple[str, str]] = ()
    ) -> None:
        """`folders`: for each folder of this PC, the subfolders that its files were sent to. `others` (path, subfolder)
        are not to be known: they are looked at more closely."""
        self._folders = folders
        self._others: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._last: tuple[str, frozenset[str], Mapping[str, tuple[int, int]]] = ("\0", _NONE, _NOTHING)
        for source, subfolder in others:
            folder, name = split(source)
            self._others[folder, subfolder].add(name)

    def within(self, folder: str, but_not: frozenset[str] = _NONE) -> Mapping[str, tuple[int, int]]:
        """Size and time of the files of one folder, by name."""
        if (folder, but_not) != self._last[:2]:
            self._last = folder, but_not, self._unpacked(folder, but_not)
        return self._last[2]

    def _unpacked(self, folder: str, but_not: frozenset[str]) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for subfolder, packed in self._folders.get(folder, ()):
            if subfolder in but_not:
                continue
            try:
                files = packed.unpacked()
            except ValueError:  # damaged: its files are compared by their contents
                continue
            for name in self._others.get((folder, subfolder), ()):
                files.pop(name, None)
            found = found | files if found else files
        return found

    def get(self, source: str, but_not: frozenset[str] = _NONE) -> tuple[int, int] | None:
        """Size and time of one file."""
        folder, name = split(source)
        return self.within(folder, but_not).get(name)


def split(source: str) -> tuple[str, str]:
    """The folder and the name of a path, as `within` has them."""
    folder, _, name = source.rpartition(os.sep)
    return folder, name


def pack(rows: Iterable[tuple[str, str, int, int]]) -> Iterator[tuple[str, str, Packed]]:
    """Paths with subfolders, sizes and times, by folder and subfolder."""
    folders: dict[tuple[str, str], tuple[list[str], array[int], array[int]]] = {}
    for source, subfolder, size, mtime in rows:
        folder, name = split(source)
        if (folder, subfolder) not in folders:
            folders[folder, subfolder] = ([], array("q"), array("q"))
        names, sizes, times = folders[folder, subfolder]
        names.append(name)
        sizes.append(size)
        times.append(mtime)
    for (folder, subfolder), (names, sizes, times) in folders.items():
        yield folder, subfolder, Packed("\0".join(names), sizes.tobytes(), times.tobytes())
