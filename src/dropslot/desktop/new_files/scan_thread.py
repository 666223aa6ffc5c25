"""Looks for what is new, beside the window; a new look ends the one before."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.desktop.jobs import Job
from dropslot.desktop.labels import files
from dropslot.desktop.new_files.choice import Choice
from dropslot.sender.connecting import place
from dropslot.sender.engine.control import Control
from dropslot.sender.engine.sender import Sender
from dropslot.sender.new_files.preset_scan import Wish
from dropslot.sender.plan import Plan
from dropslot.sender.presets.preset import Preset

_TICK_MS = 150


class _Watch:
    """The engine's `Watcher`: it only notes how far it is."""

    def __init__(self) -> None:
        self.control = Control()
        self._seen, self._hashing = 0, ""

    def looked(self, files: int) -> None:
        self._seen = files

    def hashed(self, source: Path, size_bytes: int) -> None:  # noqa: ARG002 - the engine's words
        self._hashing = source.name

    def check(self) -> None:
        self.control.check()

    def words(self) -> str:
        """`Looking for new files: 12,345 files seen`."""
        if self._hashing:
            return f"Comparing {escape(self._hashing)} with what was sent before…"
        return f"Looking for new files: {files(self._seen)} seen" if self._seen else "Looking for new files…"


class Looking(QObject):
    """`found` has the plan, the tree made of it, and how many files of an interrupted upload are left; None: there is
    no such upload."""

    said = Signal(str)
    found = Signal(object, object, object)
    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watch: _Watch | None = None
        self._timer = QTimer(self, interval=_TICK_MS)
        self._timer.timeout.connect(self._say)

    def look(self, sender: Sender, preset: Preset, *, again: bool = False) -> None:
        """Find what of this preset is new, of all its folders: those that are not chosen by themselves, too. `again`:
        also what was refused and has not changed since."""
        self.stop()
        watch = self._watch = _Watch()
        wish = Wish(subfolders=frozenset(folder.subfolder for folder in preset.folders), again=again)

        def work() -> tuple[Plan, Choice, int | None]:
            plan = sender.look(preset, wish, watch)
            return plan, Choice(plan), _unfinished(sender, preset)

        def done(found: tuple[Plan, Choice, int | None]) -> None:
            if self._end(watch):
                self.found.emit(*found)

        def failed(error: DropslotError) -> None:
            if self._end(watch):
                self.failed.emit(error)

        job = Job(self, work)
        job.done.connect(done)
        job.failed.connect(failed)
        job.start()
        self._timer.start()
        self._say()

    def stop(self) -> None:
        """What it finds is not wanted any more."""
        if self._watch:
            self._watch.control.cancel()
        self._watch = None
        self._timer.stop()

    def _end(self, watch: _Watch) -> bool:
        """Whether this look is still wanted."""
        wanted = watch is self._watch
        if wanted:
            self._watch = None
            self._timer.stop()
        return wanted

    def _say(self) -> None:
        if self._watch:
            self.said.emit(self._watch.words())


def _unfinished(sender: Sender, preset: Preset) -> int | None:
    """The files of uploads to this inbox that were interrupted, without those that are whole there; None: there is no
    such upload. With 0 files, only the bag's name is missing."""
    here = place(preset.access.to)
    bags = [bag for bag in sender.unfinished() if bag.inbox == here]
    return sum(not file.sha256 for bag in bags for file in sender.bags.files(bag)) if bags else None
