"""Shows what an upload does, and does to it what somebody presses."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from dropslot.core.errors import DropslotError
from dropslot.desktop import labels
from dropslot.desktop.dialogs import ask, nothing
from dropslot.desktop.hearing import Heard
from dropslot.desktop.question_dialogs import Asking
from dropslot.desktop.upload_progress.upload_thread import Upload
from dropslot.desktop.window import Window
from dropslot.sender.connecting import Access
from dropslot.sender.engine.control import Cancelled, Paused
from dropslot.sender.file_states import REFUSED
from dropslot.sender.plan import LeftFile, Plan

_FEW = 5  # files that are named


class Conductor(QObject):
    """`ended`: what is new may have changed; `changed`: files have another state."""

    ended = Signal()
    changed = Signal(object)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window, self.asking = window, Asking(window)
        self._upload: Upload | None = None
        self._plan: Plan | None = None
        self._again = False
        self._left: list[LeftFile] = []
        self._warnings: list[str] = []
        self._then: Callable[[], object] | None = None
        self.asking.not_kept.connect(window.trouble.show_error)
        window.bar.pause_wanted.connect(lambda: self.pause())
        window.bar.cancel_wanted.connect(self._ask_to_cancel)
        window.trouble.now_wanted.connect(self._try_now)

    @property
    def is_sending(self) -> bool:
        """Whether an upload is under way; waiting for receipts is none."""
        return self._upload is not None and self._upload.is_sending

    def send(self, plan: Plan) -> None:
        """Send this, and show it."""
        self._plan, self._left, self._warnings, self._again = plan, [], [], False
        self.asking.forget()
        self._window.trouble.clear()
        self._window.bar.show_progress(f"Signing in to {plan.preset.access.to}…")
        self._upload = self._made()
        self._upload.sent.connect(self._say_sent)
        self._upload.send(plan)

    def follow(self, access: Access | None = None) -> None:
        """Ask for the receipts that are missing."""
        self.asking.forget()
        upload = self._made()
        upload.followed.connect(self._say_followed)
        upload.follow(access, at_once=True)

    def pause(self, then: Callable[[], object] | None = None) -> None:
        """Stop; the next send continues. `then` is called when all is written down."""
        self._then = then
        if self._upload:
            self._window.bar.progress.ending("Pausing…")
            self._upload.control.pause()

    def stop(self) -> None:
        """The program ends: nobody answers questions or waits for receipts any more."""
        self.asking.give_up()
        for upload in self.findChildren(Upload):
            upload.control.pause()

    def _made(self) -> Upload:
        upload = Upload(self, self.asking)
        upload.heard.connect(self._show)
        upload.failed.connect(lambda error: self._say_failed(upload, error))
        return upload

    def _show(self, heard: Heard) -> None:
        window = self._window
        if heard.status and self.is_sending:
            window.bar.progress.show_status(heard.status)
            if window.trouble.is_retrying:
                window.trouble.clear()
        if heard.retrying:
            window.trouble.show_error(*heard.retrying)
        for warning in heard.warnings:
            window.trouble.show_words(warning, "")
        self._left += heard.left
        self._warnings += heard.warnings
        if heard.changed:
            self.changed.emit(heard)
            self._say_states(heard)

    def _say_states(self, heard: Heard) -> None:
        """What receipts brought, in words and as a notification."""
        for (study, state), number in heard.receipts.items():
            title = f"{labels.state(state)}: {labels.files(number)} of {study}"
            if state == REFUSED:
                text = f"{'; '.join(sorted(heard.reasons)[:_FEW])}. Nothing is lost: correct it, then send again."
            else:
                text = "The server has signed for it."
            self._window.trouble.show_words(title, text, bad=state == REFUSED)
            self._window.tray.tell(title, text, bad=state == REFUSED)

    def _say_sent(self) -> None:
        names = "\n".join(each.reason for each in self._left[:_FEW])
        more = f"\n{labels.files(len(self._left))} stay for next time:\n{names}" if self._left else ""
        title = "Sent. Please read this" if self._warnings else "✓ Uploaded: it is safe at the server"
        text = "\n".join([*self._warnings, f"The receipt comes by itself.{more}"])
        self._window.trouble.show_words(title, text, bad=bool(self._warnings))
        self._window.tabs.setCurrentWidget(self._window.sent)
        self.ended.emit()

    def _say_followed(self, waiting: list[object]) -> None:
        if waiting:
            count = "1 arrival has" if len(waiting) == 1 else f"{len(waiting)} arrivals have"
            self._window.trouble.show_words(
                f"{count} no receipt yet", "The server is still at work. Ask again later."
            )

    def _say_failed(self, upload: Upload, error: DropslotError) -> None:
        if upload is self._upload:
            self._upload = None
        if self._then:
            self._then()
        elif self._again and self._plan:
            self.send(self._plan)
        else:
            self._say_error(error)
            self.ended.emit()

    def _say_error(self, error: DropslotError) -> None:
        if isinstance(error, (Paused, Cancelled)):
            self._window.trouble.show_words(error.what, error.where)
            return
        self._window.trouble.show_error(error)
        self._window.tray.tell(error.what, error.next_step, bad=True)

    def _ask_to_cancel(self) -> None:
        text = (
            "Cancel this upload? What was sent of it is removed from the server; your files stay as they are."
        )
        ask(self._window, "Cancel the upload", text, {"&Cancel the upload": self._cancel, "&Go on": nothing})

    def _cancel(self) -> None:
        if self._upload:
            self._window.bar.progress.ending("Cancelling…")
            self._upload.control.cancel()

    def _try_now(self) -> None:
        """The wait for the next try is ended by a pause, and what was sent is continued."""
        self._again = True
        self.pause()
