"""Reads the history from the ledger, beside the window."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

from dropslot.core.errors import DropslotError
from dropslot.desktop.hearing import Heard
from dropslot.desktop.jobs import Job
from dropslot.desktop.sent.sent_tree import History
from dropslot.desktop.window import Window
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.sent_rows import sent

_PAUSE_MS = 250  # while somebody types, or many states change


class Reading(QObject):
    """Reads when it is asked to, when somebody looks for a name, and when a file appears that it does not show."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._ledger: Ledger | None = None
        self._is_reading, self._is_late = False, False
        self._timer = QTimer(self, interval=_PAUSE_MS, singleShot=True)
        self._timer.timeout.connect(self._read)
        window.sent.find_wanted.connect(self.read)

    def use(self, ledger: Ledger) -> None:
        """From now on, read this one."""
        self._ledger = ledger
        self._read()

    def stop(self) -> None:
        """The ledger is closed; another one comes."""
        self._ledger = None

    def read(self) -> None:
        """Soon."""
        self._timer.start()

    def change(self, heard: Heard) -> None:
        """Files have another state. Many of them are read anew, beside the window."""
        if heard.changes > len(heard.changed) or not self._window.sent.change(heard.changed):
            self.read()

    def _read(self) -> None:
        if self._is_reading or self._ledger is None:
            self._is_late = self._is_reading
            return
        self._is_reading, self._is_late = True, False
        ledger, wanted = self._ledger, self._window.sent.search.text().strip().casefold()
        job = Job(self, lambda: History(file for file in sent(ledger) if wanted in file.file.casefold()))
        job.done.connect(self._show)
        job.failed.connect(self._fail)
        job.start()

    def _show(self, history: History) -> None:
        self._is_reading = False
        self._window.sent.show_history(history)
        if self._is_late:
            self._read()

    def _fail(self, error: DropslotError) -> None:
        self._is_reading = False
        if self._is_late:
            self._read()  # of another ledger
        elif self._ledger is not None:
            self._window.trouble.show_error(error)
