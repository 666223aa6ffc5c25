"""What went wrong, where the data is, what to do; and when it is tried again."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QStyle, QVBoxLayout, QWidget

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.desktop.dialogs import sentence
from dropslot.desktop.labels import duration

_SIGN = QStyle.StandardPixmap


class Trouble(QFrame):
    """A strip above the foot of the window, hidden while all is well."""

    now_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("trouble")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.sign, self.title, self.text = QLabel(self), QLabel(self), sentence("", self)
        self.countdown = QLabel(self)
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.now = QPushButton("Try a&gain now", self)
        self.close_it = QPushButton("Cl&ose", self)
        self.is_retrying = False
        self._seconds = 0.0
        self._timer = QTimer(self, interval=1000)
        self._timer.timeout.connect(self._count)
        self._lay_out()
        self.now.clicked.connect(self.now_wanted)
        self.close_it.clicked.connect(self.clear)
        self.hide()

    def show_error(self, error: DropslotError, retry_in: float | None = None) -> None:
        """`retry_in`: it is tried again by itself in so many seconds."""
        mistakes = getattr(error, "problems", ())  # of a settings file
        text = " ".join(_sentence(part) for part in (error.where, error.next_step) if part)
        sign = _SIGN.SP_MessageBoxCritical if retry_in is None else _SIGN.SP_MessageBoxWarning
        self._show(error.what, "\n".join([*map(str, mistakes), text]), sign)
        self.is_retrying = retry_in is not None
        self._seconds = retry_in or 0.0
        self._say_when()
        for widget in (self.countdown, self.now):
            widget.setVisible(retry_in is not None)
        if retry_in is not None:
            self._timer.start()

    def show_words(self, title: str, text: str, *, bad: bool = False) -> None:
        """Something to read that stops nothing."""
        self._show(title, text, _SIGN.SP_MessageBoxWarning if bad else _SIGN.SP_MessageBoxInformation)
        self.countdown.hide()
        self.now.hide()

    def clear(self) -> None:
        self._timer.stop()
        self.is_retrying = False
        self.hide()

    def _show(self, title: str, text: str, sign: QStyle.StandardPixmap) -> None:
        self._timer.stop()
        self.is_retrying = False
        self.title.setText(_sentence(title))
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.setAccessibleName(f"{title} {text}")
        side = self.title.fontMetrics().height() * 2
        self.sign.setPixmap(self.style().standardIcon(sign).pixmap(side, side))
        self.show()
        # A screen reader says it at once.
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def _count(self) -> None:
        self._seconds = max(0.0, self._seconds - 1)
        self._say_when()

    def _say_when(self) -> None:
        when = f"Tried again in {duration(self._seconds)}." if self._seconds >= 1 else "Trying again…"
        self.countdown.setText(when)

    def _lay_out(self) -> None:
        whole, layout = QHBoxLayout(self), QVBoxLayout()
        whole.addWidget(self.sign)
        whole.addLayout(layout, 1)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        row = QHBoxLayout()
        row.addWidget(self.countdown, 1)
        row.addStretch()
        row.addWidget(self.now)
        row.addWidget(self.close_it)
        layout.addLayout(row)


def _sentence(text: str) -> str:
    """As it ends in an error's own text; what is in it was escaped where the error was made."""
    shown = "\n".join(escape(line) if not line.isprintable() else line for line in text.splitlines())
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
