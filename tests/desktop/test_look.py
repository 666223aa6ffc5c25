"""How the window looks: nothing is cut, everything has a name and a key, in every size of text, light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QTreeView,
    QWidget,
)

from desktop.opened import Opened
from desktop.test_window import recording
from dropslot.core.errors import DestinationUnready
from dropslot.desktop import look
from dropslot.desktop.sent.sent_tree import History
from dropslot.desktop.studies.assistant import Assistant
from dropslot.desktop.studies.editor import PresetEditor
from dropslot.desktop.window import Window
from dropslot.sender.engine.listener import Status
from dropslot.sender.file_states import DELIVERED, REFUSED, UPLOADED, SentFile

AWAY = DestinationUnready(
    "drop.lab.example does not answer",
    where="What was sent so far is kept there",
    next_step="Check the network of this computer",
)
LONGER = 1.35  # German beside English


@pytest.fixture
def window(opened: Callable[..., Opened], tmp_path: Path) -> Opened:
    """A study with some recordings."""
    for name in ("s01/run1.edat3", "s01/run2.edat3", "s02/run1.edat3", "s02/run2.edat3"):
        recording(tmp_path / "eprime", name, 1_200_000)
    recording(tmp_path / "biopac", "s01.acq", 900_000)
    folders = {
        "eprime": str(tmp_path / "eprime"),
        "biopac": {"path": str(tmp_path / "biopac"), "selected": False},
    }
    there = opened(
        {"heart": {"to": "sftp://drop.lab.example/inbox", "folders": folders}}, location="Brogden A"
    )
    there.sees("4 of 5 files chosen")
    there.window.study.user.setEditText("maria")
    return there


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Iterator[str]:
    """The system's colours."""
    hints = QApplication.styleHints()
    hints.setColorScheme(Qt.ColorScheme.Dark if request.param == "dark" else Qt.ColorScheme.Light)
    yield request.param
    hints.unsetColorScheme()


@pytest.fixture(params=[1.0, 1.7], ids=["usual", "large"])
def text_size(request: pytest.FixtureRequest) -> Iterator[float]:
    """The system's size of text."""
    usual = QApplication.font().pointSizeF()
    look.set_text_size(usual * request.param)
    yield request.param
    look.set_text_size(usual)


def _file(bag: int, name: str, state: str, reason: str = "") -> SentFile:
    at = f"2026-11-{28 - bag}T14:05:00.000Z"
    return SentFile(name, "", 1_200_000, "", state, at, f"b{bag}", "heart", "", "", reason)


SENT = [
    _file(0, "eprime/s02/run1.edat3", UPLOADED),
    _file(1, "eprime/s01/run1.edat3", DELIVERED),
    _file(1, "eprime/s01/run2.edat3", DELIVERED),
    _file(2, "biopac/notes.txt", REFUSED, "its name matches none of the patterns *.acq"),
]


def _new(window: Opened) -> QWidget:
    return window.window


def _sending(window: Opened) -> QWidget:
    status = Status(1, 4, 2_000_000, 4_800_000, 350_000, 62, "eprime/s01/run2.edat3", 300_000, 1_200_000)
    window.window.tabs.setCurrentWidget(window.window.new)
    window.window.bar.show_progress("")
    window.window.bar.progress.show_status(status)
    window.window.trouble.show_error(AWAY, 12)
    return window.window


def _sent(window: Opened) -> QWidget:
    window.window.tabs.setCurrentWidget(window.window.sent)
    window.window.sent.show_history(History(SENT))
    window.window.trouble.show_words("✓✓ Delivered: 2 files of heart", "The server has signed for it.")
    return window.window


def _assistant(window: Opened) -> QWidget:
    made = Assistant(window.window)
    made.start.by_hand.setChecked(True)
    made.open()
    made.next()
    return made


def _editor(window: Opened) -> QWidget:
    window.press("Change…")
    return window.window.findChildren(PresetEditor)[0]


STATES: dict[str, Callable[[Opened], QWidget]] = {
    "new": _new,
    "sent": _sent,
    "sending": _sending,
    "assistant": _assistant,
    "study": _editor,
}


def test_nothing_is_cut_and_everything_can_be_read_and_reached(
    window: Opened, scheme: str, text_size: float, tmp_path: Path
) -> None:
    for state, make in STATES.items():
        shown = make(window)
        window.settle()
        assert shown.grab().save(str(tmp_path / f"{state}.png"))
        assert (shown.palette().color(QPalette.ColorRole.Window).lightness() < 128) == (scheme == "dark")
        faults = {"cut": _cut(shown), "nameless": _nameless(shown), "same keys": _same_keys(shown)}
        texts = _lengthen(shown)
        window.settle()
        faults |= {"cut in German": _cut(shown), "wide": [str(shown.width())] if shown.width() > 1280 else []}
        assert not any(faults.values()), (state, faults)
        for widget, text in texts:
            widget.setText(text)  # type: ignore[attr-defined] # as below
        if isinstance(shown, QDialog):
            shown.reject()


def _lengthen(shown: QWidget) -> list[tuple[QWidget, str]]:
    """Make each text as long as German ones are; returns what it was."""
    found = [(each, each.text()) for each in _visible(shown, (QLabel, QAbstractButton))]  # type: ignore[attr-defined]
    for widget, text in found:
        widget.setText(text + "e" * int(len(text) * (LONGER - 1)))  # type: ignore[attr-defined] # both have one
    return found


def _visible(shown: QWidget, kinds: tuple[type[QWidget], ...]) -> list[QWidget]:
    return [
        each for each in shown.findChildren(QWidget) if isinstance(each, kinds) and each.isVisibleTo(shown)
    ]


def _cut(shown: QWidget) -> list[str]:
    """Texts that have less room than they need; those that give way by themselves say so by their policy."""
    found = []
    for each in _visible(shown, (QLabel, QAbstractButton)):
        if each.width() < each.minimumSizeHint().width() > 1 and each.minimumWidth() != 1:
            found.append(f"{each.text()}: {each.width()} < {each.minimumSizeHint().width()}")  # type: ignore[attr-defined]
        elif (
            isinstance(each, QLabel) and each.wordWrap() and each.height() < each.heightForWidth(each.width())
        ):
            found.append(f"{each.text()}: {each.height()} < {each.heightForWidth(each.width())}")
    return found


def _nameless(shown: QWidget) -> list[str]:
    """What can have the focus and says nothing to a screen reader."""
    buddies = {label.buddy() for label in shown.findChildren(QLabel)}
    kinds = (QLineEdit, QComboBox, QTreeView, QAbstractButton)
    found = [each for each in _visible(shown, kinds) if each.focusPolicy() != Qt.FocusPolicy.NoFocus]
    return [
        f"{each} in {each.parentWidget()}"
        for each in found
        if not (each.accessibleName() or each in buddies or getattr(each, "text", str)())
        and not isinstance(each.parentWidget(), QComboBox)
    ]


def _same_keys(shown: QWidget) -> list[str]:
    """Letters that Alt would press twice."""
    texts = [each.text() for each in _visible(shown, (QLabel, QAbstractButton))]  # type: ignore[attr-defined]
    if isinstance(shown, Window):
        texts += [action.text() for action in shown.menuBar().actions()]
        texts += [shown.tabs.tabText(number) for number in range(shown.tabs.count())]
    keys = Counter(text[text.index("&") + 1].lower() for text in texts if "&" in text.replace("&&", ""))
    return [key for key, count in keys.items() if count > 1]
