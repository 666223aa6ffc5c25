"""The foot of the window: one large button, and in its place, while files are sent, how far it is."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.desktop import labels
from dropslot.desktop.look import make_large
from dropslot.sender.engine.listener import Status

_STEPS = 1000


class SendBar(QStackedWidget):
    """Shows the button, or the progress."""

    send_wanted = Signal()
    pause_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.send = QPushButton("&Send", self)
        self.send.setDefault(True)
        make_large(self.send)
        self.progress = Progress(self)
        self._shown: QWidget = self.send
        self.addWidget(self.send)
        self.addWidget(self.progress)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.send.clicked.connect(self.send_wanted)
        self.progress.pause.clicked.connect(self.pause_wanted)
        self.progress.cancel.clicked.connect(self.cancel_wanted)

    def offer(self, files: int, size_bytes: int, unfinished: int | None = None) -> None:
        """What the button would send; `unfinished`: files of an upload that was interrupted. With 0 of them it only
        lacks its name; None: there is no such upload."""
        if unfinished is not None:
            more = f", and {files:,} new" if files else ""
            left = f"{labels.files(unfinished)} left" if unfinished else "almost done"
            text = f"Continue to &send: {left}{more}"
        elif files:
            text = f"&Send {labels.files(files)} ({size(size_bytes)})"
        else:
            text = "Nothing to &send"
        self.send.setText(text)
        self.send.setEnabled(bool(files) or unfinished is not None)
        self._show(self.send)

    def show_progress(self, text: str) -> None:
        """Something is under way."""
        self.progress.begin(text)
        self._show(self.progress)

    def sizeHint(self) -> QSize:
        """Of what is shown: the button is not as high as the progress."""
        return self._shown.sizeHint().expandedTo(self._shown.minimumSize())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _show(self, part: QWidget) -> None:
        self._shown = part
        self.setCurrentWidget(part)
        self.updateGeometry()


class Progress(QWidget):
    """The whole and the current file."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.text, self.file = QLabel(self), QLabel(self)
        self.whole, self.current = _bar(self, "All files"), _bar(self, "The current file")
        self.pause, self.cancel = QPushButton("&Pause", self), QPushButton("Cancel &upload…", self)
        layout = QVBoxLayout(self)
        for widget in (self.text, self.whole):
            layout.addWidget(widget)
        row = QHBoxLayout()
        row.addWidget(self.file, 1)
        row.addWidget(self.pause)
        row.addWidget(self.cancel)
        layout.addLayout(row)
        layout.addWidget(self.current)
        for label in (self.text, self.file):
            label.setMinimumWidth(1)  # a long name is cut, and never widens the window
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def begin(self, text: str) -> None:
        self.text.setText(text)
        self.file.clear()
        self.whole.setRange(0, 0)
        self.current.setRange(0, _STEPS)
        self.current.setValue(0)
        self.pause.setEnabled(True)
        self.cancel.setEnabled(True)

    def ending(self, text: str) -> None:
        """Somebody pressed Pause or Cancel."""
        self.text.setText(text)
        self.pause.setEnabled(False)
        self.cancel.setEnabled(False)

    def show_status(self, status: Status) -> None:
        self.text.setText(labels.progress(status))
        self.whole.setRange(0, _STEPS)
        self.whole.setValue(_share(status.bytes_done, status.size_bytes))
        self.current.setValue(_share(status.current_bytes, status.current_size_bytes))
        name = "/".join(escape(part) for part in status.current.split("/"))
        metrics = self.file.fontMetrics()
        self.file.setText(metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, self.file.width()))
        self.file.setToolTip(name)


def _share(done: int, whole: int) -> int:
    return min(_STEPS, done * _STEPS // whole) if whole else _STEPS


def _bar(parent: QWidget, name: str) -> QProgressBar:
    bar = QProgressBar(parent)
    bar.setRange(0, _STEPS)
    bar.setTextVisible(False)
    bar.setAccessibleName(name)
    return bar
