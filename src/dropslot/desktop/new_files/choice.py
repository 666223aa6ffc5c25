"""The new files, and which of them are to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from dropslot.desktop.trees.file_tree import Folder, Line, Tree
from dropslot.desktop.trees.model import NAME, Index, TreeModel
from dropslot.sender.plan import LeftFile, NewFile, Plan

_OUT, _CHOSEN = 0, 1
_USUAL = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_STATES = {False: Qt.CheckState.Unchecked, True: Qt.CheckState.Checked}


class Choice(Tree):
    """New files can be chosen; files that stay for next time are only shown, with the reason."""

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__(_lines(plan) if plan else ())
        self._open = bytearray(not note for note in self.notes)

    def chosen_bytes(self) -> int:
        """The size of all that is chosen."""
        return sum(compress(self.sizes, self.marks))

    def chosen_paths(self) -> frozenset[str]:
        """The paths in the arrival of what is chosen."""
        return frozenset(compress(self.keys, self.marks))

    def chosen_in(self, folder: Folder) -> int:
        """How many of its files are chosen."""
        return self.count(_CHOSEN, folder)

    def open_in(self, folder: Folder) -> int:
        """How many of its files can be chosen."""
        return self._open.count(True, folder.start, folder.stop)

    def is_open(self, number: int) -> bool:
        """Whether this file can be chosen."""
        return bool(self._open[number])

    def choose(self, start: int, stop: int, wanted: bool) -> None:
        """Choose these files, or leave them out."""
        self.marks[start:stop] = self._open[start:stop] if wanted else bytes(stop - start)


def _lines(plan: Plan) -> Iterator[Line]:
    unchosen = {folder.subfolder for folder in plan.preset.folders if not folder.selected}
    for new in plan.new:
        yield _line(new, new.size_bytes, _OUT if new.subfolder in unchosen else _CHOSEN, "")
    for left in plan.left:
        yield _line(left, 0, _OUT, left.reason or left.kind)


def _line(file: NewFile | LeftFile, size_bytes: int, mark: int, note: str) -> Line:
    *folders, name = file.path.split("/")
    return Line(tuple(folders), name, size_bytes, mark, note, file.path)


class NewFiles(TreeModel):
    """The same for Qt, with a box to tick on each row."""

    chosen_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tree: Choice = Choice()

    def show(self, tree: Tree) -> None:
        super().show(tree)
        self.chosen_changed.emit()

    def choose_all(self, wanted: bool) -> None:
        """Choose everything, or nothing."""
        self._choose(0, len(self.tree), wanted)

    def size_of(self, number: int) -> str:
        return super().size_of(number) if self.tree.is_open(number) else ""

    def flags(self, index: Index) -> Qt.ItemFlag:
        if index.column() == NAME and self._box(index) is not None:
            return _USUAL | Qt.ItemFlag.ItemIsUserCheckable
        return _USUAL

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.CheckStateRole:
            return self._box(index) if index.column() == NAME else None
        return super().data(index, role)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != NAME:
            return False
        folder, wanted = self.folder_at(index), Qt.CheckState(value) == Qt.CheckState.Checked
        if folder:
            self._choose(folder.start, folder.stop, wanted)
        else:
            number = self.file_at(index)
            self._choose(number, number + 1, wanted)
        return True

    def _choose(self, start: int, stop: int, wanted: bool) -> None:
        self.tree.choose(start, stop, wanted)
        self.repaint()
        self.chosen_changed.emit()

    def _box(self, index: Index) -> Qt.CheckState | None:
        """None: it has no box, as nothing of it can be sent."""
        folder = self.folder_at(index)
        if folder is None:
            number = self.file_at(index)
            return _STATES[self.tree.marks[number] == _CHOSEN] if self.tree.is_open(number) else None
        chosen, can_be = self.tree.chosen_in(folder), self.tree.open_in(folder)
        if 0 < chosen < can_be:
            return Qt.CheckState.PartiallyChecked
        return _STATES[chosen > 0] if can_be else None
