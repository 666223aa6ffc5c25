"""One study as a form: for the first start, for a new study, and to change one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from dropslot.sender.connecting import Access
from dropslot.sender.presets.preset import Folder, Preset

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def plain_name(name: str) -> str:
    """A name for a folder at the server, from that of one here."""
    return _NOT_IN_NAMES.sub("_", name).strip("_.") or "files"


class PresetForm(QWidget):
    """What has no field here stays as it is in the preset."""

    def __init__(self, parent: QWidget, preset: Preset | None = None) -> None:
        super().__init__(parent)
        self._before = preset or Preset("", "", Access(""), ())
        self.name = QLineEdit(self._before.name, self)
        self.name.setPlaceholderText("As your lab writes it, for instance heart")
        self.to = QLineEdit(self._before.access.to, self)
        self.to.setPlaceholderText("What your lab gave you: sftp://… or https://…")
        self.route = QLineEdit(self._before.access.route, self)
        self.route.setPlaceholderText("Only if the server has several inboxes")
        self.exclude = QLineEdit(", ".join(self._before.exclude), self)
        self.exclude.setPlaceholderText("Files that never belong to it, for instance practice*, *.tmp")
        self._rows = QVBoxLayout()
        self.add = QPushButton("Add another &folder", self)
        self._form = QFormLayout(self)
        self._lay_out()
        for folder in self._before.folders or (None,):
            self._add_row(folder)

    def preset(self) -> Preset:
        """What is in the form; it is checked when it is saved."""
        name = self.name.text().strip()
        # A preset that carries another name than its study keeps its study.
        study = self._before.study if self._before.study != self._before.name else name
        access = replace(self._before.access, to=self.to.text().strip(), route=self.route.text().strip())
        exclude = tuple(each.strip() for each in self.exclude.text().split(",") if each.strip())
        folders = tuple(row.folder() for row in self.rows if row.path.text().strip())
        return replace(self._before, name=name, study=study, access=access, exclude=exclude, folders=folders)

    @property
    def rows(self) -> list[FolderRow]:
        """The folders that are in the form now."""
        return [row for row in self.findChildren(FolderRow) if not row.is_removed]

    def _lay_out(self) -> None:
        form = self._form
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Which stud&y?", self.name)
        form.addRow("Where &to?", self.to)
        form.addRow("&Route", self.route)
        form.addRow("Which folders\nof this computer?", self._rows)
        form.addRow("", self.add)
        form.addRow("&Leave out", self.exclude)
        self.to.setMinimumWidth(self.to.fontMetrics().averageCharWidth() * 40)
        self.to.textChanged.connect(self._show_route)
        self.add.clicked.connect(lambda: self._add_row(None))
        self._show_route(self.to.text())

    def _show_route(self, to: str) -> None:
        self._form.setRowVisible(self.route, to.strip().startswith("http"))

    def _add_row(self, folder: Folder | None) -> None:
        row = FolderRow(self, folder)
        row.removed.connect(self._count_rows)
        self._rows.addWidget(row)
        self._count_rows()

    def _count_rows(self) -> None:
        for row in self.rows:
            row.remove.setVisible(len(self.rows) > 1)


class FolderRow(QWidget):
    """A folder of this PC, and the name that it gets at the server."""

    removed = Signal()

    def __init__(self, parent: QWidget, folder: Folder | None) -> None:
        super().__init__(parent)
        self._before = folder
        self.is_removed = False
        self.path = QLineEdit(str(folder.path) if folder else "", self)
        self.path.setAccessibleName("Folder of this computer")
        self.path.setPlaceholderText("The folder in which your files are")
        self.browse = QPushButton("Choose…", self)
        self.subfolder = QLineEdit(folder.subfolder if folder else "", self)
        self.subfolder.setAccessibleName("Its name at the server")
        self.subfolder.setPlaceholderText("Name at the server")
        self.subfolder.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.selected = QCheckBox("Send it unless unticked", self)
        self.selected.setChecked(folder.selected if folder else True)
        self.remove = QPushButton("Remove", self)
        self._lay_out()
        self.browse.clicked.connect(self._browse)
        self.remove.clicked.connect(self._remove)
        self.path.editingFinished.connect(self._suggest)

    def folder(self) -> Folder:
        """What is in the row."""
        self._suggest()
        path, subfolder = self.path.text().strip(), self.subfolder.text().strip()
        before = self._before or Folder(subfolder, Path(path))
        return replace(
            before, subfolder=subfolder, path=Path(path).expanduser(), selected=self.selected.isChecked()
        )

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.path, 1)
        first.addWidget(self.browse)
        second.addWidget(self.subfolder)
        second.addWidget(self.selected, 1)
        second.addWidget(self.remove)
        layout.addLayout(first)
        layout.addLayout(second)

    def _browse(self) -> None:
        if found := QFileDialog.getExistingDirectory(
            self, "Choose the folder of your files", self.path.text()
        ):
            self.path.setText(found)
            self._suggest()

    def _suggest(self) -> None:
        """The name at the server is the folder's own unless somebody gives another one."""
        name = Path(self.path.text().strip()).name
        if name and not self.subfolder.text().strip():
            self.subfolder.setText(plain_name(name))

    def _remove(self) -> None:
        self.is_removed = True
        self.hide()
        self.path.clear()
        self.removed.emit()
