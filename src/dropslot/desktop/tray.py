"""The icon beside the clock: it tells what was delivered or refused, and sending goes on there."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon, QWidget

_SHOWN_MS = 10_000


class Tray(QSystemTrayIcon):
    """Some desktops have no place for it: then `isSystemTrayAvailable` is False, and nothing is shown."""

    shown = Signal()
    quit_wanted = Signal()

    def __init__(self, parent: QWidget, icon: QIcon) -> None:
        super().__init__(icon, parent)
        self.setToolTip("dropslot")
        menu = QMenu(parent)
        for text, signal in (("&Show dropslot", self.shown), ("&Quit", self.quit_wanted)):
            action = QAction(text, menu)
            action.triggered.connect(signal)
            menu.addAction(action)
        self.setContextMenu(menu)
        self.activated.connect(self._clicked)
        self.messageClicked.connect(self.shown)
        if self.isSystemTrayAvailable():
            self.show()

    def tell(self, title: str, text: str, *, bad: bool = False) -> None:
        """A notification of the system, for somebody who does other things meanwhile."""
        kind = self.MessageIcon.Warning if bad else self.MessageIcon.Information
        if self.isVisible():
            self.showMessage(title, text, kind, _SHOWN_MS)

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (self.ActivationReason.Trigger, self.ActivationReason.DoubleClick):
            self.shown.emit()
