"""Files as a tree. There is no object for a file: files lie in arrays, in the tree's order, and each folder is a range
of them. So 100,000 files are counted and chosen in a few milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from dropslot.sender.sorting import in_order

LONGEST = 500  # rows of one folder; more are shown in groups, as Qt asks about each row of an open folder


class Line(NamedTuple):
    """One file: the names of its folders, then its own; `key` finds it again. `mark` is 0 to 255."""

    folders: tuple[str, ...]
    name: str
    size_bytes: int
    mark: int
    note: str
    key: str


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

    def __len__(self) -> int:
        return self.stop - self.start


class Tree:
    """All folders and files. A tree is made in any thread, and then used in one."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        ordered = list(_ordered(lines))
        self.names = [line.name for line in ordered]
        self.sizes = [line.size_bytes for line in ordered]
        self.notes = [line.note for line in ordered]
        self.keys = [line.key for line in ordered]
        self.marks = bytearray(line.mark for line in ordered)
        self._sums = [0, *accumulate(self.sizes)]
        self.root = Folder("", 0)
        _fill(self.root, [line.folders for line in ordered])
        self.by_number: list[Folder] = []
        self._finish()

    def __len__(self) -> int:
        return len(self.names)

    def size_bytes(self, folder: Folder) -> int:
        """Of everything in it."""
        return self._sums[folder.stop] - self._sums[folder.start]

    def count(self, mark: int, folder: Folder) -> int:
        """How many of its files have this mark."""
        return self.marks.count(mark, folder.start, folder.stop)

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


def _ordered(lines: Iterable[Line]) -> Iterator[Line]:
    """By folder, then by name."""
    places: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        places.setdefault(line.folders, []).append(line)
    for folders in sorted(places):
        yield from in_order(places[folders], lambda line: line.name)


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
