"""The tree of new files for Qt, which asks only for the rows that it shows."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from dropslot.core.amounts import size
from dropslot.core.names import escape
from dropslot.desktop.new_files.folders import Folder, Tree

Index = QModelIndex | QPersistentModelIndex
NAME, SIZE, NOTE = range(3)
_HEADINGS = ("File", "Size", "Note")
_NOWHERE = QModelIndex()
_STATES = {False: Qt.CheckState.Unchecked, True: Qt.CheckState.Checked}


class NewFiles(QAbstractItemModel):
    """An index holds the number of the folder that its row is in; rows are the folders, then the files."""

    chosen_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tree = Tree(())

    def show(self, tree: Tree) -> None:
        """Show this in place of what was shown."""
        self.beginResetModel()
        self.tree = tree
        self.endResetModel()
        self.chosen_changed.emit()

    def choose_all(self, wanted: bool) -> None:
        """Choose everything, or nothing."""
        self._choose(0, len(self.tree), wanted)

    # What Qt asks, under Qt's names.

    def index(self, row: int, column: int, parent: Index = _NOWHERE) -> QModelIndex:
        folder = self._folder(parent)
        if folder is None or not (0 <= row < folder.rows and 0 <= column < len(_HEADINGS)):
            return QModelIndex()
        return self.createIndex(row, column, folder.number)

    def parent(self, index: Index = _NOWHERE) -> QModelIndex:  # type: ignore[override] # QObject's has no parameter
        if not index.isValid():
            return QModelIndex()
        inside = self.tree.by_number[index.internalId()]
        if inside.parent is None:
            return QModelIndex()
        return self.createIndex(inside.row, NAME, inside.parent.number)

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        folder = self._folder(parent) if parent.column() <= NAME else None
        return folder.rows if folder else 0

    def hasChildren(self, parent: Index = _NOWHERE) -> bool:
        return self.rowCount(parent) > 0

    def columnCount(self, _: Index = _NOWHERE) -> int:
        return len(_HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _HEADINGS[section]
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        usual = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return usual | Qt.ItemFlag.ItemIsUserCheckable if index.column() == NAME else usual

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == NAME:
            return self._check_state(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(index)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() == SIZE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(index)
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != NAME:
            return False
        self._choose(*self._range(index), Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def _choose(self, start: int, stop: int, wanted: bool) -> None:
        self.tree.choose(start, stop, wanted)
        # The folders above and below change, too. A view only paints what it shows.
        self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, 0))
        self.chosen_changed.emit()

    def _folder(self, index: Index) -> Folder | None:
        """The folder that this row is; None: it is a file."""
        if not index.isValid():
            return self.tree.root
        inside = self.tree.by_number[index.internalId()]
        return inside.folders[index.row()] if index.row() < len(inside.folders) else None

    def _number(self, index: Index) -> int:
        """Which file of the tree this row is."""
        inside = self.tree.by_number[index.internalId()]
        return inside.start + index.row() - len(inside.folders)

    def _range(self, index: Index) -> tuple[int, int]:
        folder = self._folder(index)
        if folder:
            return folder.start, folder.stop
        number = self._number(index)
        return number, number + 1

    def _check_state(self, index: Index) -> Qt.CheckState:
        folder = self._folder(index)
        if folder is None:
            return _STATES[bool(self.tree.chosen[self._number(index)])]
        chosen = self.tree.chosen_in(folder)
        if 0 < chosen < folder.stop - folder.start:
            return Qt.CheckState.PartiallyChecked
        return _STATES[chosen > 0]

    def _text(self, index: Index) -> str:
        folder = self._folder(index)
        if folder:
            files = folder.stop - folder.start
            return (
                escape(folder.name),
                size(self.tree.size_bytes(folder)),
                "1 file" if files == 1 else f"{files:,} files",
            )[index.column()]
        number = self._number(index)
        return (escape(self.tree.names[number]), size(self.tree.sizes[number]), self.tree.states[number])[
            index.column()
        ]
