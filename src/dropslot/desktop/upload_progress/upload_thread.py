"""One press of Send: the upload, and then its receipts; beside the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from dropslot.core.errors import DropslotError
from dropslot.desktop.hearing import Hearing
from dropslot.desktop.jobs import Job
from dropslot.sender.connecting import Access
from dropslot.sender.credentials import Credentials
from dropslot.sender.engine.control import Control
from dropslot.sender.engine.sender import Sender
from dropslot.sender.plan import Plan

_TICK_MS = 100
_RECEIPT_SECONDS = 3600.0  # then somebody presses the button, or sends again


class Upload(QObject):
    """`heard` comes while it works. `sent`: all is uploaded, and receipts are waited for; `followed`: nothing more
    comes, with the bags that have no receipt yet; `failed`: a DropslotError, also Paused and Cancelled."""

    heard = Signal(object)
    sent = Signal()
    followed = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject, credentials: Credentials) -> None:
        super().__init__(parent)
        self.control = Control()
        self.is_sending = False
        self._hearing = Hearing()
        self._credentials = credentials
        self._sender: Sender | None = None
        self._timer = QTimer(self, interval=_TICK_MS)
        self._timer.timeout.connect(self._tell)

    def send(self, plan: Plan) -> None:
        """Send it, then wait for its receipt."""
        self.is_sending = True

        def work() -> Access:
            self._opened().send(plan)
            return plan.preset.access

        self._run(work, self._follow_sent)

    def follow(self, access: Access | None = None, *, at_once: bool = False) -> None:
        """Wait for the receipts that are missing, of one inbox or of all; `at_once`: only look for them."""
        self._run(lambda: self._opened().follow(access, 0 if at_once else _RECEIPT_SECONDS), self._end)

    def _opened(self) -> Sender:
        if self._sender is None:
            self._sender = Sender(self._credentials, self._hearing, self.control)
        return self._sender

    def _run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        job = Job(self, work)
        job.done.connect(then)
        job.failed.connect(self._fail)
        self._timer.start()
        job.start()

    def _follow_sent(self, access: Access) -> None:
        self._tell()
        self.is_sending = False
        self.sent.emit()
        self.follow(access)

    def _end(self, waiting: object) -> None:
        self._close()
        self.followed.emit(waiting)

    def _fail(self, error: DropslotError) -> None:
        self._close()
        self.failed.emit(error)

    def _close(self) -> None:
        self._timer.stop()
        self._tell()
        self.is_sending = False
        if self._sender is not None:
            Job(self, self._sender.close).start()  # a broken connection takes its time to close
        self._sender = None

    def _tell(self) -> None:
        self.heard.emit(self._hearing.take())
