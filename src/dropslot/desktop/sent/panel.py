"""What was sent, with ticks."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from dropslot.desktop.dialogs import sentence
from dropslot.desktop.sent.sent_tree import History, SentFiles
from dropslot.desktop.trees.tree_view import TreeView
from dropslot.sender.file_states import SentFile

_LEGEND = (
    "✓ Uploaded: it is safe at the server.   "
    "✓✓ Delivered: it is in the study's folder, and the server has signed for it."
)


class SentPanel(QWidget):
    """The history. It is read again when something was sent, and marks change as receipts come."""

    find_wanted = Signal(str)
    check_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = SentFiles(self)
        self.view = TreeView(self, self.model, "Sent files")
        self.words = sentence("Nothing was sent from this computer yet.", self)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Find a file")
        self.search.setAccessibleName("Find a file")
        self.search.setClearButtonEnabled(True)
        self.check = QPushButton("As&k for receipts", self)
        self._stack = QStackedWidget(self)
        self._lay_out()
        self.search.textChanged.connect(self.find_wanted)
        self.check.clicked.connect(self.check_wanted)

    def show_history(self, history: History) -> None:
        """In place of what was shown."""
        self.model.show(history)
        self.view.open_first()
        if not len(history):
            found = (
                "No file with this name was sent."
                if self.search.text()
                else "Nothing was sent from this computer yet."
            )
            self.words.setText(found)
        self._stack.setCurrentWidget(self.view if len(history) else self.words)

    def change(self, changed: list[SentFile]) -> bool:
        """Note other states; False: some are not in here, so the history is to be read again."""
        known = [self.model.tree.change(file) for file in changed]
        self.model.repaint()
        return all(known)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        self._stack.addWidget(self.words)
        self._stack.addWidget(self.view)
        row = QHBoxLayout()
        row.addWidget(self.search, 1)
        row.addWidget(self.check)
        layout.addLayout(row)
        layout.addWidget(self._stack, 1)
        layout.addWidget(sentence(_LEGEND, self))
