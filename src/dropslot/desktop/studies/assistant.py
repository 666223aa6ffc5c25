"""The first start: a settings file from the lab, or three questions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
    QWizard,
    QWizardPage,
)

from dropslot.core.errors import DropslotError
from dropslot.desktop.dialogs import sentence
from dropslot.desktop.jobs import Job
from dropslot.desktop.studies.corrections import in_the_form
from dropslot.desktop.studies.editor import scrolling
from dropslot.desktop.studies.form import PresetForm
from dropslot.desktop.upload_progress.trouble import Trouble
from dropslot.sender.home_folder import settings_file
from dropslot.sender.presets import load_presets, save_presets

_START, _LAB, _QUESTIONS = range(3)


class Assistant(QWizard):
    """Accepted when there is a study to send for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Welcome to dropslot")
        self.setWizardStyle(QWizard.WizardStyle.ModernStyle)
        self.setOption(QWizard.WizardOption.NoBackButtonOnStartPage)
        self.start, self.lab, self.questions = StartPage(), LabPage(), QuestionsPage()
        for number, page in ((_START, self.start), (_LAB, self.lab), (_QUESTIONS, self.questions)):
            self.setPage(number, page)
        self.setButtonText(QWizard.WizardButton.FinishButton, "&Done")

    def sizeHint(self) -> QSize:
        return QSize(max(super().sizeHint().width(), 680), max(super().sizeHint().height(), 480))


class StartPage(QWizardPage):
    """Which of both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("Send your files, and know that they arrived")
        self.from_lab = QRadioButton("My &lab gave me a settings file or an address")
        self.by_hand = QRadioButton("I answer &three questions")
        self.from_lab.setChecked(True)
        layout = QVBoxLayout(self)
        layout.addWidget(sentence("How do you want to set up this computer? It is done once."))
        layout.addWidget(self.from_lab)
        layout.addWidget(self.by_hand)
        layout.addStretch()

    def nextId(self) -> int:
        return _LAB if self.from_lab.isChecked() else _QUESTIONS


class _SavingPage(QWizardPage):
    """The last page of a way: it saves beside the window, and says what is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.setFinalPage(True)
        self.trouble = Trouble()
        self._is_saved = False

    def nextId(self) -> int:
        return -1

    def save(self) -> Callable[[], None]:
        """What is to be done, beside the window; it raises a DropslotError."""
        raise NotImplementedError

    def validatePage(self) -> bool:
        if self._is_saved:
            return True
        self.setEnabled(False)
        job = Job(self, self.save())
        job.done.connect(self._saved)
        job.failed.connect(self._failed)
        job.start()
        return False

    def _saved(self) -> None:
        self.setEnabled(True)
        self._is_saved = True
        self.wizard().accept()

    def _failed(self, error: DropslotError) -> None:
        self.setEnabled(True)
        self.trouble.show_error(error)


class LabPage(_SavingPage):
    """A path or an address."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("The settings of your lab")
        self.where = QLineEdit()
        self.where.setAccessibleName("Settings file or address")
        self.where.setPlaceholderText("https://… or a file")
        self.browse = QPushButton("C&hoose a file…")
        row = QHBoxLayout()
        row.addWidget(self.where, 1)
        row.addWidget(self.browse)
        layout = QVBoxLayout(self)
        text = "It is read again at each start, so your lab can change it for all computers."
        layout.addWidget(sentence(text))
        layout.addLayout(row)
        layout.addWidget(self.trouble)
        layout.addStretch()
        self.browse.clicked.connect(self._browse)

    def save(self) -> Callable[[], None]:
        where = self.where.text().strip()

        def saving() -> None:
            load_presets.shared_from(
                where, settings_file().parent
            )  # its mistakes are shown before it is kept
            save_presets.save_shared(settings_file(), where)

        return saving

    def _browse(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, "Choose the settings file", "", "Settings (*.yaml *.yml);;All files (*)"
        )
        if found:
            self.where.setText(found)


class QuestionsPage(_SavingPage):
    """Which study, where to, which folder."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("Three questions")
        self.form = PresetForm(self)
        layout = QVBoxLayout(self)
        layout.addWidget(scrolling(self.form), 1)
        layout.addWidget(self.trouble)

    def save(self) -> Callable[[], None]:
        preset = self.form.preset()

        def saving() -> None:
            try:
                save_presets.save_preset(settings_file(), preset)
            except DropslotError as error:
                raise in_the_form(error, preset.name) from error

        return saving
