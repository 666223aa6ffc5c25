"""The new files as a tree. There is no object for a file: files lie in arrays, in the tree's order, and each folder is
a range of them. So 100,000 files are counted and chosen in a few milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, pairwise

LONGEST = 1000  # rows of one folder; more are shown in groups, as Qt asks about each row of an open folder


@dataclass(frozen=True, slots=True)
class Row:
    """One file: the folders that it is in, its name, its size, and in words why it is sent or not."""

    folders: tuple[str, ...]
    name: str
    size_bytes: int
    state: str = ""
    key: int = 0  # its position in the list that the tree was made of


@dataclass(slots=True)
class Folder:
    """The files `start` to `stop`, of which the first `own` are in this folder itself."""

    name: str
    start: int
    parent: Folder | None = None
    row: int = 0
    stop: int = 0
    own: int = 0
    number: int = 0
    folders: list[Folder] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.folders) + self.own


class Tree:
    """All folders and files, and which of them are chosen. A tree is made in any thread, and then used in one."""

    def __init__(self, rows: Iterable[Row], chosen: frozenset[int] | None = None) -> None:
        """`chosen`: the keys of the files that are to be sent; None: all."""
        ordered = sorted(rows, key=lambda row: (row.folders, row.name))
        self.names = [row.name for row in ordered]
        self.sizes = [row.size_bytes for row in ordered]
        self.states = [row.state for row in ordered]
        self.keys = [row.key for row in ordered]
        self.chosen = bytearray(chosen is None or key in chosen for key in self.keys)
        self._sums = [0, *accumulate(self.sizes)]
        self.root = Folder("", 0)
        _fill(self.root, [row.folders for row in ordered])
        self.by_number: list[Folder] = []
        self._finish()

    def __len__(self) -> int:
        return len(self.names)

    def size_bytes(self, folder: Folder) -> int:
        """Of everything in it."""
        return self._sums[folder.stop] - self._sums[folder.start]

    def chosen_in(self, folder: Folder) -> int:
        """How many of its files are chosen."""
        return self.chosen.count(1, folder.start, folder.stop)

    def chosen_bytes(self) -> int:
        """The size of all that is chosen."""
        return sum(compress(self.sizes, self.chosen))

    def chosen_keys(self) -> list[int]:
        """The keys of the files that are chosen."""
        return list(compress(self.keys, self.chosen))

    def choose(self, start: int, stop: int, wanted: bool) -> None:
        """Choose these files, or leave them out."""
        self.chosen[start:stop] = bytes([wanted]) * (stop - start)

    def _finish(self) -> None:
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            _group(folder, self.names)
            folder.number = len(self.by_number)
            self.by_number.append(folder)
            for row, each in enumerate(folder.folders):
                each.row, each.parent = row, folder
            waiting += folder.folders


def _fill(root: Folder, places: Sequence[tuple[str, ...]]) -> None:
    """Make the folders of files that are in order: those in a folder itself come before those in its folders."""
    path = [root]
    for number, parts in enumerate(places):
        same = _shared(path, parts)
        _close(path, same, number)
        for name in parts[same:]:
            made = Folder(name, number)
            path[-1].folders.append(made)
            path.append(made)
        path[-1].own += 1
    _close(path, 0, len(places))
    root.stop = len(places)


def _shared(path: Sequence[Folder], parts: tuple[str, ...]) -> int:
    """How many of the folders that are open the next file is in, too."""
    same = 0
    while same < len(parts) and same + 1 < len(path) and path[same + 1].name == parts[same]:
        same += 1
    return same


def _close(path: list[Folder], depth: int, stop: int) -> None:
    while len(path) > depth + 1:
        path.pop().stop = stop


def _group(folder: Folder, names: Sequence[str]) -> None:
    """Put what are too many rows for one folder into groups, which are folders too."""
    if folder.rows <= LONGEST:
        return
    groups = []
    for first in range(0, len(folder.folders), LONGEST):
        part = folder.folders[first : first + LONGEST]
        name = f"{part[0].name} … {part[-1].name}"
        groups.append(Folder(name, part[0].start, stop=part[-1].stop, folders=part))
    end = folder.start + folder.own
    for first, last in pairwise([*range(folder.start, end, LONGEST), end]):
        name = f"{names[first]} … {names[last - 1]}"
        groups.append(Folder(name, first, stop=last, own=last - first))
    folder.folders, folder.own = groups, 0
