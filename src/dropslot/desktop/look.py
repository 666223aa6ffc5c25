"""How the window looks: its icon, and the size of its text. Colours are the system's, light or dark."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QPushButton

SMALLEST, LARGEST = 7.0, 28.0  # points


def icon() -> QIcon:
    """That of dropslot."""
    return QIcon(str(Path(__file__).with_name("icon.png")))


def set_text_size(points: float) -> float:
    """Show all text in this size, within limits; returns what it is now. 0: leave it as the system has it."""
    font = QApplication.font()
    if points:
        font.setPointSizeF(min(LARGEST, max(SMALLEST, points)))
        QApplication.setFont(font)
    return font.pointSizeF()


def make_large(button: QPushButton) -> None:
    """The one button of the window that people look for."""
    font = button.font()
    font.setPointSizeF(QApplication.font().pointSizeF() * 1.4)
    font.setBold(True)
    button.setFont(font)
    button.setMinimumHeight(round(button.fontMetrics().height() * 2.2))
