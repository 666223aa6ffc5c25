"""Work beside the window: each job has a thread of its own, and its end comes back as a signal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from dropslot.core.errors import DropslotError, Unforeseen
from dropslot.sender.local_paths import shown_path


class SystemRefused(DropslotError):
    """The system did not let dropslot read or write something of this PC."""

    code = "system-refused"


class Job(QObject):
    """Runs `work` once; then, in the window's thread, `done` with its result, or `failed` with a DropslotError."""

    done = Signal(object)
    failed = Signal(object)
    _ended = Signal(object, object)

    def __init__(self, parent: QObject, work: Callable[[], Any]) -> None:
        super().__init__(parent)
        self._work = work
        # A thread that hangs must not keep the program from ending: what is on the disk is always consistent.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ended.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    def start(self) -> Job:
        self._thread.start()
        return self

    def wait(self, seconds: float) -> bool:
        """Whether it ended within this time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        result, error = None, None
        try:
            result = self._work()
        except DropslotError as raised:
            error = raised
        except OSError as raised:
            at = f" at {shown_path(raised.filename)}" if isinstance(raised.filename, str) else ""
            error = SystemRefused(
                f"This computer refused: {raised.strerror or raised}{at}",
                where="Your files are untouched",
                next_step="Make room on this disk, or let this account read and write there, then try again",
            )
        except Exception as raised:  # noqa: BLE001 - the last guard of a thread: people get words, whatever went wrong
            error = Unforeseen(
                f"A fault in dropslot: {type(raised).__name__}: {raised}",
                where="What was sent so far is kept",
                next_step="Send again to continue; if it happens again, report it with this text",
            )
        try:
            self._ended.emit(result, error)
        except RuntimeError:
            return  # the window is gone

    def _tell(self, result: Any, error: DropslotError | None) -> None:
        if error is None:
            self.done.emit(result)
        else:
            self.failed.emit(error)
        self.deleteLater()
