"""The window: which study, what is new, what was sent, one large button."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QMessageBox, QTabWidget, QVBoxLayout, QWidget

from dropslot.desktop import look
from dropslot.desktop.memory import Memory
from dropslot.desktop.new_files.panel import NewFilesPanel
from dropslot.desktop.sent.panel import SentPanel
from dropslot.desktop.studies.panel import StudyPanel
from dropslot.desktop.tray import Tray
from dropslot.desktop.upload_progress.bar import SendBar
from dropslot.desktop.upload_progress.trouble import Trouble

_SIZE = QSize(900, 680)
_STEP = 1.0  # points


class Window(QMainWindow):
    """The parts, their places, the menu. It knows nothing of sending: `Steering` connects both."""

    closing = Signal(QCloseEvent)

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory
        self.setWindowTitle("dropslot")
        self.setWindowIcon(look.icon())
        look.set_text_size(memory.text_size())
        self.study = StudyPanel(self)
        self.new = NewFilesPanel(self)
        self.sent = SentPanel(self)
        self.trouble = Trouble(self)
        self.bar = SendBar(self)
        self.tabs = QTabWidget(self)
        self.tray = Tray(self, self.windowIcon())
        self._lay_out()
        self._make_menu()
        if not self.restoreGeometry(memory.geometry()):
            self.resize(_SIZE)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.memory.keep_geometry(self.saveGeometry())
        self.closing.emit(event)

    def come_forward(self) -> None:
        """Out of the tray, or from behind other windows."""
        self.show()
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.raise_()
        self.activateWindow()

    def change_text_size(self, points: float) -> None:
        """So many points larger or smaller."""
        now = look.set_text_size(self.font().pointSizeF() + points)
        self.memory.keep_text_size(now)
        look.make_large(self.bar.send)
        self.new.view.fit_columns()
        self.sent.view.fit_columns()

    def _lay_out(self) -> None:
        self.tabs.addTab(self.new, "What is &new")
        self.tabs.addTab(self.sent, "What &was sent")
        middle = QWidget(self)
        layout = QVBoxLayout(middle)
        layout.addWidget(self.study)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.trouble)
        layout.addWidget(self.bar)
        self.setCentralWidget(middle)
        order = [self.study.studies, self.study.edit, self.study.add, self.study.location, self.study.user]
        order += [self.study.forget, self.tabs, self.new.view, self.new.other, self.new.again, self.bar.send]
        for first, second in pairwise(order):
            QWidget.setTabOrder(first, second)

    def _make_menu(self) -> None:
        file = self.menuBar().addMenu("&File")
        self._add(file, "&Send", "Ctrl+Return", self.bar.send.click)
        self._add(file, "&Look again", "F5", self.new.again.click)
        self._add(file, "Look again, also for what was &refused", "Shift+F5", self.new.refused_wanted.emit)
        self._add(file, "Add another &folder…", "Ctrl+O", self.new.other.click)
        file.addSeparator()
        self._add(file, "&Quit", QKeySequence.StandardKey.Quit, self.close)
        study = self.menuBar().addMenu("S&tudy")
        self._add(study, "&Add…", "Ctrl+N", self.study.add.click)
        self._add(study, "&Change…", "Ctrl+E", self.study.edit.click)
        study.addSeparator()
        self._add(study, "Choose all &files", "Ctrl+Shift+A", lambda: self.new.model.choose_all(True))
        self._add(study, "Choose &none", "Ctrl+Shift+N", lambda: self.new.model.choose_all(False))
        view = self.menuBar().addMenu("&View")
        self._add(view, "What is &new", "Ctrl+1", lambda: self.tabs.setCurrentWidget(self.new))
        self._add(view, "What was &sent", "Ctrl+2", lambda: self.tabs.setCurrentWidget(self.sent))
        view.addSeparator()
        self._add(view, "&Larger text", QKeySequence.StandardKey.ZoomIn, lambda: self.change_text_size(_STEP))
        self._add(
            view, "S&maller text", QKeySequence.StandardKey.ZoomOut, lambda: self.change_text_size(-_STEP)
        )
        about = self.menuBar().addMenu("&Help")
        self._add(about, "&About dropslot", None, self._show_about)

    def _add(
        self, menu: QMenu, text: str, keys: str | QKeySequence.StandardKey | None, do: Callable[[], object]
    ) -> None:
        action = QAction(text, self)
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda _: do())
        menu.addAction(action)

    def _show_about(self) -> None:
        from importlib.metadata import version

        text = "Put files in the slot. They arrive once, whole, for good, and you can prove it."
        QMessageBox.about(self, "About dropslot", f"dropslot {version('dropslot')}\n\n{text}")
