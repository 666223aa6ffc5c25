"""What is new: the tree, its sum in words, and the buttons that change it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from dropslot.core.showing.amounts import size
from dropslot.desktop.dialogs import sentence
from dropslot.desktop.labels import files
from dropslot.desktop.new_files.choice import Choice, NewFiles
from dropslot.desktop.trees.tree_view import TreeView


class NewFilesPanel(QWidget):
    """Shows one of three things: that it looks, words, or the tree."""

    look_wanted = Signal()
    refused_wanted = Signal()
    folder_added = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = NewFiles(self)
        self.view = TreeView(self, self.model, "New files")
        self.words = sentence("", self)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.looking = _Looking(self)
        self.sum = QLabel(self)
        self.again = QPushButton("&Look again", self)
        self.other = QPushButton("Add another fol&der…", self)
        self._stack = QStackedWidget(self)
        self._lay_out()
        self.again.clicked.connect(self.look_wanted)
        self.other.clicked.connect(self._ask_for_folder)
        self.model.chosen_changed.connect(self._say_sum)

    def show_looking(self, what: str) -> None:
        """It is busy."""
        self.looking.label.setText(what)
        self.looking.bar.setRange(0, 0)
        self._stack.setCurrentWidget(self.looking)
        self.sum.clear()

    def show_choice(self, choice: Choice) -> None:
        """What was found."""
        self.looking.bar.setRange(0, 1)  # one that moves is painted all the time
        self.model.show(choice)
        self.view.open_first()
        self._stack.setCurrentWidget(self.view)

    def show_words(self, text: str) -> None:
        """There is nothing to show but these words."""
        self.looking.bar.setRange(0, 1)
        self.model.show(Choice())
        self.words.setText(text)
        self._stack.setCurrentWidget(self.words)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        for widget in (self.looking, self.words, self.view):
            self._stack.addWidget(widget)
        layout.addWidget(self._stack, 1)
        row = QHBoxLayout()
        row.addWidget(self.sum, 1)
        row.addWidget(self.other)
        row.addWidget(self.again)
        layout.addLayout(row)

    def _ask_for_folder(self) -> None:
        if found := QFileDialog.getExistingDirectory(self, "Choose a folder to send"):
            self.folder_added.emit(found)

    def _say_sum(self) -> None:
        choice = self.model.tree
        chosen, can_be = choice.chosen_in(choice.root), choice.open_in(choice.root)
        text = f"{chosen:,} of {files(can_be)} chosen, {size(choice.chosen_bytes())}"
        if left := len(choice) - can_be:
            text += f"; {files(left)} not ready"
        self.sum.setText(text if len(choice) else "")


class _Looking(QWidget):
    """It is busy, and how far it is."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.label = sentence("", self)
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Looking for new files")
        layout = QVBoxLayout(self)
        layout.addStretch()
        layout.addWidget(self.label)
        layout.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch()
