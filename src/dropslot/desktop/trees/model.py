"""A tree of files for Qt, which asks only for the rows that it shows."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.desktop.labels import files
from dropslot.desktop.trees.file_tree import Folder, Tree

Index = QModelIndex | QPersistentModelIndex
NAME, SIZE, NOTE = range(3)
NOWHERE = QModelIndex()
_ROLE = Qt.ItemDataRole


class TreeModel(QAbstractItemModel):
    """An index holds the number of the folder that its row is in; rows are the folders, then the files."""

    headings = ("File", "Size", "Note")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tree = Tree()

    def show(self, tree: Tree) -> None:
        """Show this in place of what was shown."""
        self.beginResetModel()
        self.tree = tree
        self.endResetModel()

    def name_of(self, folder: Folder) -> str:
        """A folder's name as people see it."""
        return escape(folder.name)

    def note_on(self, folder: Folder) -> str:
        """What the last column says of a folder."""
        return files(len(folder))

    def note(self, number: int) -> str:
        """What the last column says of a file."""
        return self.tree.notes[number]

    def size_of(self, number: int) -> str:
        """What the middle column says of a file."""
        return size(self.tree.sizes[number])

    def folder_at(self, index: Index) -> Folder | None:
        """The folder that this row is; None: it is a file."""
        if not index.isValid():
            return self.tree.root
        inside = self.tree.by_number[index.internalId()]
        return inside.folders[index.row()] if index.row() < len(inside.folders) else None

    def file_at(self, index: Index) -> int:
        """Which file of the tree this row is."""
        inside = self.tree.by_number[index.internalId()]
        return inside.start + index.row() - len(inside.folders)

    def repaint(self) -> None:
        """Marks or notes changed, of files and so of the folders that they are in. A view paints only what it shows."""
        if last := self.rowCount():
            self.dataChanged.emit(self.index(0, NAME), self.index(last - 1, NOTE))

    # What Qt asks, under Qt's names.

    def index(self, row: int, column: int, parent: Index = NOWHERE) -> QModelIndex:
        folder = self.folder_at(parent)
        if folder is None or not (0 <= row < folder.rows and 0 <= column < len(self.headings)):
            return QModelIndex()
        return self.createIndex(row, column, folder.number)

    def parent(self, index: Index = NOWHERE) -> QModelIndex:  # type: ignore[override] # QObject's has no parameter
        if not index.isValid():
            return QModelIndex()
        inside = self.tree.by_number[index.internalId()]
        if inside.parent is None:
            return QModelIndex()
        return self.createIndex(inside.row, NAME, inside.parent.number)

    def rowCount(self, parent: Index = NOWHERE) -> int:
        folder = self.folder_at(parent) if parent.column() <= NAME else None
        return folder.rows if folder else 0

    def hasChildren(self, parent: Index = NOWHERE) -> bool:
        """Asked about each row of a folder that is opened: no folder is empty."""
        if not parent.isValid():
            return self.tree.root.rows > 0
        return parent.row() < len(self.tree.by_number[parent.internalId()].folders)

    def columnCount(self, _: Index = NOWHERE) -> int:
        return len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole) -> Any:
        if role == _ROLE.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.headings[section]
        return None

    def data(self, index: Index, role: int = _ROLE.DisplayRole) -> Any:
        if role in (_ROLE.DisplayRole, _ROLE.ToolTipRole, _ROLE.AccessibleTextRole):
            folder = self.folder_at(index)
            return self._of_folder(folder, index.column()) if folder else self._of_file(index)
        if role == _ROLE.TextAlignmentRole and index.column() == SIZE:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _of_folder(self, folder: Folder, column: int) -> str:
        if column == NAME:
            return self.name_of(folder)
        return size(self.tree.size_bytes(folder)) if column == SIZE else self.note_on(folder)

    def _of_file(self, index: Index) -> str:
        number = self.file_at(index)
        if index.column() == NAME:
            return escape(self.tree.names[number])
        return self.size_of(number) if index.column() == SIZE else self.note(number)
