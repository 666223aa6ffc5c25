"""The dialogs of signing in. Texts of a server are escaped: they are a stranger's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from dropslot.core.names import escape
from dropslot.sender.credentials import HostKey, Question

_BUTTON = QDialogButtonBox.StandardButton
_ROLE = QDialogButtonBox.ButtonRole


def sentence(text: str, parent: QWidget | None = None) -> QLabel:
    """A label whose lines wrap, that shows plain text, and whose text can be copied."""
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    policy = QSizePolicy(
        QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum
    )  # never lower than its lines
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label


def ask(parent: QWidget, title: str, text: str, answers: Mapping[str, Callable[[], object]]) -> QMessageBox:
    """A question with these buttons and what each does; the last one does nothing, and is what Enter and Escape press.
    It does not wait: the window goes on."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text, QMessageBox.StandardButton.NoButton, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    last = None
    for label, do in answers.items():
        last = box.addButton(label, QMessageBox.ButtonRole.ActionRole)
        last.clicked.connect(do)
    assert last
    box.setDefaultButton(last)
    box.setEscapeButton(last)
    box.open()
    return box


def nothing() -> None:
    """What a button does that only closes the question."""


class QuestionsDialog(QDialog):
    """One or more questions with a line each for the answer; `keep` offers to remember it."""

    def __init__(
        self, parent: QWidget, title: str, text: str, questions: Sequence[Question], keep: str = ""
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        layout = QVBoxLayout(self)
        if text:
            layout.addWidget(sentence(text, self))
        self.lines = self._add_lines(layout, questions)
        self.keep = QCheckBox(keep, self)
        self.keep.setVisible(bool(keep))
        layout.addWidget(self.keep)
        buttons = QDialogButtonBox(_BUTTON.Ok | _BUTTON.Cancel, self)
        buttons.button(_BUTTON.Ok).setText("&Sign in")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    @property
    def answers(self) -> tuple[str, ...]:
        """In the order of the questions."""
        return tuple(line.text() for line in self.lines)

    def _add_lines(self, layout: QVBoxLayout, questions: Sequence[Question]) -> list[QLineEdit]:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        lines = []
        for question in questions:
            line = QLineEdit(self)
            line.setMinimumWidth(line.fontMetrics().averageCharWidth() * 36)
            line.setAccessibleName(escape(question.text).strip())
            if not question.echo:
                line.setEchoMode(QLineEdit.EchoMode.Password)
            label = QLabel(escape(question.text).strip(), self)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setBuddy(line)
            form.addRow(label, line)
            lines.append(line)
        layout.addLayout(form)
        return lines


class HostKeyDialog(QDialog):
    """A server that this PC does not know: only a person can say whether it is the right one."""

    def __init__(self, parent: QWidget, key: HostKey) -> None:
        super().__init__(parent)
        self.setWindowTitle("Is this the right server?")
        layout = QVBoxLayout(self)
        layout.addWidget(sentence(f"This computer sends to {escape(key.server)} for the first time.", self))
        layout.addWidget(sentence("The server shows this fingerprint:", self))
        fingerprint = sentence(escape(key.fingerprint), self)
        fingerprint.setWordWrap(False)  # it is compared with one on paper
        fingerprint.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        fingerprint.setAccessibleName(f"Fingerprint {escape(key.fingerprint)}")
        layout.addWidget(fingerprint)
        kind = f"Compare it with the one that your lab gave you ({escape(key.kind)}). "
        layout.addWidget(
            sentence(
                f"{kind}If they differ, or you have none, ask before you go on: somebody else may answer.",
                self,
            )
        )
        buttons = QDialogButtonBox(_BUTTON.Cancel, self)
        buttons.addButton("They are the &same: trust it", _ROLE.AcceptRole)
        buttons.button(_BUTTON.Cancel).setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
