"""The window as a person has it: what it shows, and what can be pressed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeView,
    QWidget,
)
from pytestqt import exceptions
from pytestqt.qtbot import QtBot

from dropslot.desktop.cycles import collect_here
from dropslot.desktop.jobs import Job
from dropslot.desktop.memory import Memory
from dropslot.desktop.steering.steering import Steering
from dropslot.desktop.window import Window

DISPLAYED = Qt.ItemDataRole.DisplayRole
_PATIENCE_MS = 60_000
W = TypeVar("W", bound=QWidget)


class Opened:
    """A window that is open."""

    def __init__(self, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.window = Window(Memory())
        self.steering = Steering(self.window)
        self.is_over = self._is_ended = False
        self.steering.over.connect(self._end)
        self.window.show()
        qtbot.waitActive(self.window)
        collect_here(self.window)
        self.steering.start()

    def texts(self) -> str:
        """All that can be read now: in the window, its dialogs, and the trees."""
        return "\n".join(text for widget in self._visible(QWidget) for text in _texts(widget))

    def sees(self, text: str) -> None:
        """Wait until this can be read."""
        self._wait(lambda: text in self.texts(), f"'{text}'")

    def opens(self, tab: str) -> None:
        """Click on a tab."""
        tabs = self.window.tabs
        number = next(each for each in range(tabs.count()) if _plain(tabs.tabText(each)) == tab)
        QTest.mouseClick(tabs.tabBar(), Qt.MouseButton.LeftButton, pos=tabs.tabBar().tabRect(number).center())

    def press(self, label: str) -> None:
        """Click the button of this label, when it can be pressed."""
        self._wait(lambda: self._is_enabled(label), f"a button '{label}'")
        self.settle()  # a dialog that has just come gets its place and size from the window manager
        button = next(each for each in self._visible(QAbstractButton) if _plain(each.text()) == label)
        # The rest of a wide line of choices takes no clicks.
        place = button.rect().center() if isinstance(button, QPushButton) else QPoint(9, button.height() // 2)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)

    def types(self, name: str, text: str, which: int = 0) -> None:
        """Type into the line of this accessible name; `which` of them."""

        def lines() -> list[QLineEdit]:
            return [each for each in self._visible(QLineEdit) if _name(each) == name]

        self._wait(lambda: len(lines()) > which, f"a line '{name}'")
        line = lines()[which]
        line.clear()
        QTest.keyClicks(line, text)

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
        """Whatever it does: stop it, and wait until no thread of it is at work. It may be called again."""
        if self._is_ended:
            return
        self._is_ended = True
        self.steering.stop()

        self._wait(lambda: not self.window.findChildren(Job), "the end of all jobs")
        self.window.hide()
        self.window.deleteLater()
        gc.enable()

    def _end(self) -> None:
        self.is_over = True

    def unticks(self, file: str) -> None:
        """Take the tick off a file of the tree."""
        self.sees(file)
        view, model = self.window.new.view, self.window.new.model
        [index] = model.match(model.index(0, 0), DISPLAYED, file, 1, Qt.MatchFlag.MatchRecursive)
        model.setData(index, Qt.CheckState.Unchecked.value, Qt.ItemDataRole.CheckStateRole)
        view.setCurrentIndex(index)

    def settle(self) -> None:
        """Wait until the X server shows each window as large as it must be, which a busy one does late, and let all
        layouts and paintings happen that are due."""
        self._wait(_are_shown, "the size of each window")
        for _ in range(10):
            QApplication.processEvents()

    def waits(self, is_so: Callable[[], bool], what: str) -> None:
        """Until something is so."""
        self._wait(is_so, what)

    def _is_enabled(self, label: str) -> bool:
        buttons = self._visible(QAbstractButton)
        return any(_plain(each.text()) == label and each.isEnabled() for each in buttons)

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        try:
            self.qtbot.waitUntil(is_so, timeout=_PATIENCE_MS)
        except exceptions.TimeoutError:
            raise AssertionError(f"{what} did not come; there is:\n{self.texts()}") from None

    def _visible(self, kind: type[W]) -> list[W]:
        """In the window, and in its dialogs."""
        return [each for each in self.window.findChildren(kind) if each.isVisible()]

    def notification(self) -> str:
        """What the tray shows now."""
        # Qt shows it in a window of its own; that must be held as long as what is in it.
        tops = [
            top for top in QApplication.topLevelWidgets() if top.metaObject().className() == "QBalloonTip"
        ]
        labels = [label.text() for top in tops for label in top.findChildren(QLabel)]
        return "\n".join(text for text in labels if text)


def _are_shown() -> bool:
    return all(
        (handle := top.windowHandle()) is not None
        and handle.isExposed()
        and top.size() == top.size().expandedTo(top.minimumSize())
        for top in QApplication.topLevelWidgets()
        if top.isVisible()
    )


def _name(line: QLineEdit) -> str:
    """As a screen reader says it: its own name, that of its box, or its label."""
    parent = line.parentWidget()
    labels = [label for label in line.window().findChildren(QLabel) if label.buddy() is line]
    return (
        line.accessibleName()
        or (labels and _plain(labels[0].text()))
        or (parent.accessibleName() if parent else "")
    )


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
