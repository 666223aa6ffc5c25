"""The window as a person has it: what it shows, and what can be pressed."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QTreeView, QWidget
from pytestqt.qtbot import QtBot

from dropslot.desktop.jobs import Job
from dropslot.desktop.memory import Memory
from dropslot.desktop.steering.steering import Steering
from dropslot.desktop.window import Window

_PATIENCE_MS = 30_000
W = TypeVar("W", bound=QWidget)


class Opened:
    """A window that is open."""

    def __init__(self, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.window = Window(Memory())
        self.steering = Steering(self.window)
        self.is_over = False
        self.steering.over.connect(self._end)
        self.window.show()
        qtbot.waitActive(self.window)
        self.steering.start()

    def texts(self) -> str:
        """All that can be read now: in the window, its dialogs, and the trees."""
        found = []
        for top in QApplication.topLevelWidgets():
            for widget in top.findChildren(QWidget) if top.isVisible() else ():
                if widget.isVisible():
                    found += _texts(widget)
        return "\n".join(found)

    def sees(self, text: str) -> None:
        """Wait until this can be read."""

        def is_seen() -> None:
            assert text in self.texts(), f"'{text}' is not in:\n{self.texts()}"

        self.qtbot.waitUntil(is_seen, timeout=_PATIENCE_MS)

    def press(self, label: str) -> None:
        """Click the button of this label, when it can be pressed."""
        button: list[QAbstractButton] = []

        def is_there() -> None:
            button[:] = [
                each
                for each in self._visible(QAbstractButton)
                if _plain(each.text()) == label and each.isEnabled()
            ]
            assert button, f"no button '{label}' in:\n{self.texts()}"

        self.qtbot.waitUntil(is_there, timeout=_PATIENCE_MS)
        QTest.mouseClick(button[0], Qt.MouseButton.LeftButton)

    def types(self, name: str, text: str) -> None:
        """Type into the line of this accessible name."""
        line: list[QLineEdit] = []

        def is_there() -> None:
            line[:] = [each for each in self._visible(QLineEdit) if each.accessibleName() == name]
            assert line, f"no line '{name}'"

        self.qtbot.waitUntil(is_there, timeout=_PATIENCE_MS)
        line[0].clear()
        QTest.keyClicks(line[0], text)

    def trusts_the_server(self) -> str:
        """Answer the question about the unknown server; returns the fingerprint that was shown."""
        self.sees("SHA256:")
        shown = next(word for word in self.texts().split() if word.startswith("SHA256:"))
        self.press("They are the same: trust it")
        return shown

    def close(self) -> None:
        """As the cross of the window does."""
        self.window.close()

    def end(self) -> None:
        """Whatever it does: stop it, and wait until no thread of it is at work."""
        self.steering.stop()

        def is_quiet() -> None:
            assert not self.window.findChildren(Job)

        self.qtbot.waitUntil(is_quiet, timeout=_PATIENCE_MS)
        self.window.hide()
        self.window.deleteLater()

    def _end(self) -> None:
        self.is_over = True

    def _visible(self, kind: type[W]) -> list[W]:
        tops = [top for top in QApplication.topLevelWidgets() if top.isVisible()]
        return [each for top in tops for each in top.findChildren(kind) if each.isVisible()]


def _plain(text: str) -> str:
    return text.replace("&", "")


def _texts(widget: QWidget) -> list[str]:
    if isinstance(widget, (QLabel, QAbstractButton)):
        return [_plain(widget.text())]
    if isinstance(widget, QLineEdit):
        return [widget.text()]
    return _rows(widget) if isinstance(widget, QTreeView) else []


def _rows(view: QTreeView) -> list[str]:
    """The rows that are open, as far as they are in sight."""
    model, found = view.model(), []
    index = view.indexAt(view.viewport().rect().topLeft())
    while index.isValid() and view.viewport().rect().intersects(view.visualRect(index)):
        cells = [model.data(index.siblingAtColumn(column)) for column in range(model.columnCount())]
        found.append(" | ".join(map(str, cells)))
        index = view.indexBelow(index)
    return found
