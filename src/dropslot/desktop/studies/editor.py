"""The dialog that adds a study, changes one, or removes it from this PC."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFrame, QScrollArea, QVBoxLayout, QWidget

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.desktop.dialogs import ask, nothing
from dropslot.desktop.studies.corrections import in_the_form
from dropslot.desktop.studies.form import PresetForm
from dropslot.desktop.upload_progress.trouble import Trouble
from dropslot.sender.home_folder import settings_file
from dropslot.sender.presets import save_presets
from dropslot.sender.presets.preset import Preset

_BUTTON = QDialogButtonBox.StandardButton


class PresetEditor(QDialog):
    """`saved` is the name of the preset afterwards; empty: it was removed."""

    def __init__(self, parent: QWidget, preset: Preset | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Change {escape(preset.name)}" if preset else "Add a study")
        self._before, self.saved = preset, ""
        self.form = PresetForm(self, preset)
        self.trouble = Trouble(self)
        self.buttons = QDialogButtonBox(_BUTTON.Save | _BUTTON.Cancel, self)
        if preset:
            remove = self.buttons.addButton(
                "Remo&ve from this computer…", QDialogButtonBox.ButtonRole.DestructiveRole
            )
            remove.clicked.connect(self._ask_to_remove)
        layout = QVBoxLayout(self)
        layout.addWidget(scrolling(self.form), 1)
        layout.addWidget(self.trouble)
        layout.addWidget(self.buttons)
        self.buttons.accepted.connect(self._save)
        self.buttons.rejected.connect(self.reject)

    def sizeHint(self) -> QSize:
        return super().sizeHint().expandedTo(self.form.sizeHint() + QSize(80, 120))

    def _save(self) -> None:
        preset = self.form.preset()
        try:
            save_presets.save_preset(settings_file(), preset, self._before.name if self._before else "")
        except DropslotError as error:
            self.trouble.show_error(in_the_form(error, preset.name))
            return
        self.saved = preset.name
        self.accept()

    def _ask_to_remove(self) -> None:
        assert self._before
        text = f"Remove {escape(self._before.name)} from this computer? Your files, and what was sent, stay."
        ask(self, "Remove a study", text, {"&Remove": self._remove, "&Keep": nothing})

    def _remove(self) -> None:
        assert self._before
        try:
            save_presets.remove_preset(settings_file(), self._before.name)
        except DropslotError as error:
            self.trouble.show_error(error)
            return
        self.accept()


def scrolling(widget: QWidget) -> QScrollArea:
    """Large text on a small screen is scrolled, not cut."""
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    return area
