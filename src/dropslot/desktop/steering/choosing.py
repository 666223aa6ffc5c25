"""Which study is chosen, as whom, from where; and what somebody changes of the studies of this PC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from dropslot.core.addressing import addresses
from dropslot.core.errors import DropslotError
from dropslot.desktop.jobs import Job
from dropslot.desktop.studies.assistant import Assistant
from dropslot.desktop.studies.editor import PresetEditor
from dropslot.desktop.studies.form import plain_name
from dropslot.desktop.window import Window
from dropslot.sender.connecting import SFTP, scheme
from dropslot.sender.home_folder import settings_file
from dropslot.sender.presets import load_presets, save_presets
from dropslot.sender.presets.preset import Folder, Preset, Settings

_NO_STUDY = "There is no study yet. Press Add a study: its name, where it goes, and the folder of your files."


class Choosing(QObject):
    """`chosen`: there is a study, or another one, or it changed."""

    chosen = Signal()

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window, self._memory = window, window.memory
        self._settings = Settings()
        self._more: tuple[Folder, ...] = ()
        panel = window.study
        panel.chosen.connect(self._choose)
        panel.add_wanted.connect(lambda: self._edit(None))
        panel.edit_wanted.connect(lambda: self._edit(self._settings.presets.get(panel.current)))
        panel.users_forgotten.connect(self._forget_users)
        panel.location.editingFinished.connect(self._keep_location)
        window.new.folder_added.connect(self._add_folder)

    def preset(self) -> Preset | None:
        """The study as it is to be sent: by whom, from where, and with the folders that were added."""
        preset = self._settings.presets.get(self._window.study.current)
        if preset is None:
            return None
        panel = self._window.study
        access = replace(preset.access, user=panel.user.currentText().strip())
        folders = (*preset.folders, *self._more)
        return replace(preset, access=access, location=panel.location.text().strip(), folders=folders)

    def keep_user(self, name: str = "") -> None:
        """Somebody sends: the name is remembered for this study. `name`: as it was asked, if the window had none."""
        name = name or self._window.study.user.currentText().strip()
        if name:
            self._memory.keep_user(self._window.study.current, name)
            self._window.study.offer_users(name, self._memory.users())

    def load(self, choose: str = "") -> None:
        """Read the settings; then the study that was chosen last, or the assistant when there is none."""
        job = Job(self, load_presets.load)
        job.done.connect(lambda settings: self._loaded(settings, choose or self._memory.study()))
        job.failed.connect(self._fail)
        job.start()

    def _loaded(self, settings: Settings, choose: str) -> None:
        self._settings = settings
        self._window.study.offer(settings.presets, choose)
        if settings.presets:
            self._choose(self._window.study.current)
            return
        self._window.new.show_words(_NO_STUDY)
        assistant = Assistant(self._window)
        assistant.accepted.connect(self.load)
        assistant.open()

    def _choose(self, name: str) -> None:
        preset = self._settings.presets[name]
        self._more = ()
        self._memory.keep_study(name)
        user = self._memory.user(name) or preset.access.user or _user_in(preset.access.to)
        self._window.study.show_preset(preset, user, self._memory.users())
        self.chosen.emit()

    def _edit(self, preset: Preset | None) -> None:
        editor = PresetEditor(self._window, preset)
        editor.accepted.connect(lambda: self.load(editor.saved))
        editor.open()

    def _forget_users(self) -> None:
        self._memory.forget_users()
        self._window.study.offer_users("", [])

    def _keep_location(self) -> None:
        preset, location = self.preset(), self._window.study.location.text().strip()
        if preset is None or location == self._settings.presets[preset.name].location:
            return
        try:
            save_presets.save_location(settings_file(), location)
        except DropslotError as error:
            self._fail(error)

    def _add_folder(self, path: str) -> None:
        """For this time only; Change… adds one for good."""
        preset = self.preset()
        if preset is None:
            return
        taken = {folder.subfolder for folder in preset.folders}
        self._more = (*self._more, Folder(unused_subfolder(Path(path).name, taken), Path(path)))
        self.chosen.emit()

    def _fail(self, error: DropslotError) -> None:
        self._window.trouble.show_error(error)
        if not self._settings.presets:
            self._window.new.show_words(_NO_STUDY)


def unused_subfolder(name: str, taken: set[str]) -> str:
    """A name for a subfolder, from that of a folder."""
    plain = plain_name(name)
    return next(each for each in (plain, *(f"{plain}_{n}" for n in range(2, 1000))) if each not in taken)


def _user_in(to: str) -> str:
    """The account in an address; a token says who it is by HTTPS."""
    return addresses.parse(to).user if scheme(to) == SFTP else ""
