"""Which study, where it goes, from where, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from dropslot.core.names import escape
from dropslot.sender.connecting import SFTP, scheme
from dropslot.sender.presets.preset import Preset


class StudyPanel(QWidget):
    """The form at the top of the window."""

    chosen = Signal(str)  # the name of a preset
    edit_wanted = Signal()
    add_wanted = Signal()
    users_forgotten = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.studies = QComboBox(self)
        self.add = QPushButton("&Add a study…", self)
        self.edit = QPushButton("&Change…", self)
        self.goes_to = QLineEdit(self)
        self.goes_to.setReadOnly(True)
        self.goes_to.setFrame(False)
        self.goes_to.setStyleSheet("background: transparent")
        self.location = QLineEdit(self)
        self.location.setPlaceholderText("The room or computer, for instance Brogden A")
        self.user = QComboBox(self)
        self.user.setEditable(True)
        self._name = QLineEdit(self)
        self._name.setPlaceholderText("Asked when you send, if empty")
        self.user.setLineEdit(self._name)
        self.forget = QPushButton("Cl&ear names", self)
        self.forget.setToolTip("Forget who has sent from this computer")
        self._form = QFormLayout(self)
        self._lay_out()
        self.studies.activated.connect(lambda _: self.chosen.emit(self.current))
        self.add.clicked.connect(self.add_wanted)
        self.edit.clicked.connect(self.edit_wanted)
        self.forget.clicked.connect(self.users_forgotten)

    @property
    def current(self) -> str:
        """The name of the preset that is chosen."""
        data = self.studies.currentData()
        return data if isinstance(data, str) else ""

    def offer(self, presets: Mapping[str, Preset], chosen: str) -> None:
        """Show these studies, and choose one."""
        self.studies.clear()
        for name, preset in presets.items():
            shown = escape(name) if name == preset.study else f"{escape(name)} (study {escape(preset.study)})"
            self.studies.addItem(shown, name)
        self.studies.setCurrentIndex(max(0, self.studies.findData(chosen)))
        self.studies.setEnabled(bool(presets))
        self.edit.setEnabled(bool(presets))

    def show_preset(self, preset: Preset, user: str, users: Sequence[str]) -> None:
        """Where it goes, and who sends it."""
        self.goes_to.setText(f"{escape(preset.access.to)}, as the study {escape(preset.study)}")
        self.location.setText(preset.location)
        self.offer_users(user, users)
        signs_in_by_name = scheme(preset.access.to) == SFTP  # by HTTPS a token says who it is
        self._form.setRowVisible(3, signs_in_by_name)

    def offer_users(self, user: str, users: Sequence[str]) -> None:
        """The names that were used on this PC."""
        self.user.clear()
        self.user.addItems(list(users))
        self.user.setEditText(user)
        self.forget.setEnabled(bool(users))

    def _lay_out(self) -> None:
        form = self._form
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow(_label("Stud&y", self.studies), _row(self.studies, self.edit, self.add))
        form.addRow("Goes to", self.goes_to)
        form.addRow("Sent f&rom", self.location)
        form.addRow(_label("Sent &by", self.user), _row(self.user, self.forget))
        for widget, name in (
            (self.studies, "Study"),
            (self.goes_to, "Goes to"),
            (self.location, "Sent from"),
            (self.user, "Sent by"),
        ):
            widget.setAccessibleName(name)


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    return label


def _row(first: QWidget, *others: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(first, 1)
    for widget in others:
        row.addWidget(widget)
    return row
