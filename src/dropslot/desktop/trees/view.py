"""How a tree of files is shown."""

from __future__ import annotations

from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from dropslot.desktop.trees.model import NAME, NOTE, SIZE, TreeModel

_SIZE_CHARACTERS = 12
_FEW = 12  # folders that are opened by themselves


class TreeView(QTreeView):
    """Rows of one height: else Qt measures each of them."""

    def __init__(self, parent: QWidget, model: TreeModel, name: str) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAccessibleName(name)
        self.fit_columns()

    def fit_columns(self) -> None:
        """By the size of the text; Qt's own way asks for every row."""
        header = self.header()
        header.setStretchLastSection(False)
        for column in (NAME, NOTE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(SIZE, self.fontMetrics().averageCharWidth() * _SIZE_CHARACTERS)

    def open_first(self) -> None:
        """Open the folders of the first level, unless there are many."""
        model = self.model()
        if model.rowCount() <= _FEW:
            for row in range(model.rowCount()):
                self.expand(model.index(row, NAME))
        self.setCurrentIndex(model.index(0, NAME))
