"""How a tree of files is shown."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from dropslot.desktop.trees.model import NAME, NOTE, SIZE, TreeModel

_SIZE_CHARACTERS = 12
_FEW = 12  # folders that are opened by themselves
_MANY_FILES = 2000
_FEW_FILES = 40  # all of their folders are opened


class TreeView(QTreeView):
    """Rows of one height: else Qt measures each of them."""

    def __init__(self, parent: QWidget, model: TreeModel, name: str) -> None:
        super().__init__(parent)
        self.setModel(model)
        self._shown = model
        # Qt itself paints only the rows that are named as changed, and not those below them.
        model.dataChanged.connect(lambda *_: self.viewport().update())
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAccessibleName(name)
        self.fit_columns()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt opens everything for an asterisk, which takes minutes for 100,000 files."""
        if event.key() == Qt.Key.Key_Asterisk and len(self._shown.tree) > _MANY_FILES:
            return
        super().keyPressEvent(event)

    def fit_columns(self) -> None:
        """By the size of the text; Qt's own way asks for every row."""
        header = self.header()
        header.setStretchLastSection(False)
        for column in (NAME, NOTE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(SIZE, self.fontMetrics().averageCharWidth() * _SIZE_CHARACTERS)

    def open_first(self) -> None:
        """Open all folders of a few files; else those of the first level, unless there are many."""
        model = self._shown
        if len(model.tree) <= _FEW_FILES:
            self.expandAll()
        elif model.rowCount() <= _FEW:
            for row in range(model.rowCount()):
                self.expand(model.index(row, NAME))
        self.setCurrentIndex(model.index(0, NAME))
