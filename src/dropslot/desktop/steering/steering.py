"""Connects the window with the engine: what is chosen is looked through, what is ticked is sent."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QCloseEvent

from dropslot.core.errors import DropslotError
from dropslot.desktop.dialogs import ask, nothing
from dropslot.desktop.hearing import Hearing
from dropslot.desktop.jobs import Job
from dropslot.desktop.new_files.choice import Choice
from dropslot.desktop.new_files.scan_thread import Looking
from dropslot.desktop.steering.choosing import Choosing
from dropslot.desktop.steering.conductor import Conductor
from dropslot.desktop.steering.history_reader import Reading
from dropslot.desktop.window import Window
from dropslot.sender.engine.sender import Sender
from dropslot.sender.ledger.open_ledger import LedgerDamaged
from dropslot.sender.plan import Plan

_NOTHING = "Nothing is new.\nFiles that you record from now on appear here when you press Look again."
_CLOSING = "Files are being sent. If you stop, nothing is lost: next time, dropslot continues where it was."


class Steering(QObject):
    """Made with the window; `start` reads settings and ledger. `over`: the program may end."""

    over = Signal()

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._sender: Sender | None = None
        self._plan: Plan | None = None
        self._unfinished: int | None = None
        self._is_anew = False
        self._hearing = Hearing()
        self._choosing, self._looking = Choosing(window), Looking(self)
        self._conductor, self._reading = Conductor(window), Reading(window)
        self._connect()

    def start(self) -> None:
        """Open the ledger, then read the settings."""
        self._window.new.show_looking("Opening…")
        job = Job(self, lambda: Sender(self._conductor.asking, self._hearing))
        job.done.connect(self._opened)
        job.failed.connect(self._fail)
        job.start()

    def stop(self) -> None:
        """End all that is at work beside the window; nothing is lost by it."""
        self._looking.stop()
        self._conductor.stop()

    def _connect(self) -> None:
        window = self._window
        self._choosing.chosen.connect(lambda: self._look())
        window.new.look_wanted.connect(lambda: self._choosing.load())
        window.new.refused_wanted.connect(lambda: self._look(again=True))
        window.new.model.chosen_changed.connect(self._offer)
        self._looking.said.connect(window.new.show_looking)
        self._looking.found.connect(self._show)
        self._looking.failed.connect(self._fail)
        window.bar.send_wanted.connect(self._send)
        window.sent.check_wanted.connect(lambda: self._conductor.follow())
        self._conductor.changed.connect(self._reading.change)
        self._conductor.asking.named.connect(self._choosing.keep_user)
        self._conductor.ended.connect(self._ended)
        window.closing.connect(self._close)
        window.tray.shown.connect(window.come_forward)
        window.tray.quit_wanted.connect(window.close)

    def _opened(self, sender: Sender) -> None:
        self._sender = sender
        for warning in self._hearing.take().warnings:
            self._window.trouble.show_words(warning, "")
        self._reading.use(sender.ledger)
        self._choosing.load()

    def _look(self, *, again: bool = False) -> None:
        preset = self._choosing.preset()
        if preset and self._sender and not self._conductor.is_sending:
            self._plan = None
            self._unfinished = None
            self._window.bar.offer(0, 0)
            self._looking.look(self._sender, preset, again=again)

    def _show(self, plan: Plan, choice: Choice, unfinished: int | None) -> None:
        self._plan, self._unfinished = plan, unfinished
        if len(choice):
            self._window.new.show_choice(choice)
        else:
            self._window.new.show_words(_NOTHING)
        self._offer()

    def _offer(self) -> None:
        """What the large button would send now."""
        if self._conductor.is_sending:
            return
        choice = self._window.new.model.tree
        self._window.bar.offer(choice.chosen_in(choice.root), choice.chosen_bytes(), self._unfinished)

    def _send(self) -> None:
        preset = self._choosing.preset()
        if self._plan is None or preset is None or self._conductor.is_sending:
            return
        self._choosing.keep_user()
        chosen = self._plan.only(self._window.new.model.tree.chosen_paths())
        self._window.new.setEnabled(False)
        self._window.study.setEnabled(False)
        self._conductor.send(replace(chosen, preset=preset))

    def _ended(self) -> None:
        self._window.new.setEnabled(True)
        self._window.study.setEnabled(True)
        self._reading.read()
        self._look()

    def _fail(self, error: DropslotError) -> None:
        if error.code == LedgerDamaged.code and not self._is_anew:
            self._begin_anew()
            return
        self._window.trouble.show_error(error)
        self._window.new.show_words(
            "This could not be looked through. Read below what to do, then press Look again."
        )

    def _begin_anew(self) -> None:
        """The ledger is damaged: opening it once more makes a new one of the receipts."""
        self._is_anew = True
        self._reading.stop()
        if self._sender:
            self._sender.close()  # Windows gives no other name to a file that is open
        self._sender = None
        self.start()

    def _close(self, event: QCloseEvent) -> None:
        if not self._conductor.is_sending:
            self.stop()
            self.over.emit()
            return
        event.ignore()
        answers = {"&Stop, and continue next time": lambda: self._conductor.pause(self._window.close)}
        if self._window.tray.isVisible():
            answers = {"Go on in the &background": self._window.hide, **answers}
        ask(self._window, "Close dropslot?", _CLOSING, {**answers, "&Keep it open": nothing})
