"""That the folders are ours: at the start, and as long as a watcher acts on them.

Another installation has another id. A copy of this one, with a copy of its database, has the same id: it is known by
a watcher that touches the marker again and again, though this database knows no such watcher.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from dropslot.arrivals import candidates
from dropslot.arrivals.candidates import Doer
from dropslot.arrivals.models import Candidate, Duty
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.upkeep.markers import Mark, OtherInstallation
from dropslot.arrivals.workers import elsewhere, holder
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, all_folders
from dropslot.core.names import escape

log = structlog.get_logger()

LONG_AGO_SECONDS = 600.0  # more than clocks of hosts and file servers differ
WATCH_SECONDS = 7.0  # a watcher touches its markers every two seconds
ROUNDS = 3  # of a marker that nobody touches
LONG_ROUNDS = 10  # longer than a new watcher needs to write its name
_PAUSE = threading.Event()  # never set


def require_ours(config: Config) -> None:
    """Mark the folders as ours. Raises OtherInstallation if another installation, or a copy of this one that is at
    work, has one of them. That takes seconds if a watcher ended without a word on another machine."""
    installation = markers.identity(config)
    sets = all_folders(config)
    for folders in sets:
        if found := markers.other(folders, installation):
            other, remove = found
            raise OtherInstallation(
                markers.words_for(folders, other, installation),
                where="Nothing was taken",
                next_step=f"{markers.ONLY_ONE[0].upper()}{markers.ONLY_ONE[1:]}{remove}",
            )
    _require_no_copy(config, sets)
    for folders in sets:
        if markers.read(folders) is None:
            markers.write(folders, mark_of(config, installation))


def mark_of(config: Config, installation: str, watcher: str = "") -> Mark:
    """The marker of this installation on this machine."""
    return Mark(installation, socket.gethostname(), str(config.data), watcher)


def _require_no_copy(config: Config, sets: Sequence[FolderSet]) -> None:
    alive = set(candidates.names())
    doubtful = {}
    for folders in sets:
        mark = markers.read(folders)
        if (
            mark
            and mark.watcher
            and mark.watcher not in alive
            and not holder.is_dead(config.data, mark.watcher)
        ):
            doubtful[markers.path_of(folders)] = (folders, mark)
    touched = _touched([path for path in doubtful if _age(path) < LONG_AGO_SECONDS])
    if touched is not None:
        raise _copied(*doubtful[touched])
    for folders, mark in doubtful.values():
        markers.write(folders, Mark(mark.installation, mark.host, mark.data))


def _touched(paths: Sequence[Path]) -> Path | None:
    """The first of them that somebody touches meanwhile."""
    before = {path: _seen(path) for path in paths}
    end = time.monotonic() + WATCH_SECONDS
    while before and time.monotonic() < end:
        for path, seen in before.items():
            if _seen(path) != seen:
                return path
        _PAUSE.wait(0.2)
    return None


def _seen(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return None


def _age(path: Path) -> float:
    with suppress(OSError):
        return abs(time.time() - path.stat().st_mtime)
    return LONG_AGO_SECONDS


def _copied(folders: FolderSet, mark: Mark) -> OtherInstallation:
    return OtherInstallation(
        f"The inbox {escape(str(folders.inbox))} is watched by {Doer.of(mark.watcher)}, data folder"
        f" {escape(mark.data)}, with another database: one of both is a copy of the other (installation"
        f" {escape(mark.installation)})",
        where="Nothing was taken",
        next_step="Stop that watcher before you start this one. If both are to stay, remove `installation` from the"
        " data folder of the copy, give it folders of its own, and let it begin with an empty database",
    )


class Beats:
    """The markers of one watcher: it touches those of the inboxes that it acts on, and notices others who do."""

    def __init__(self, config: Config, installation: str, me: str) -> None:
        self._mine = mark_of(config, installation, me)
        self._is_dead: Callable[[str], bool] = lambda name: holder.is_dead(config.data, name)
        self._own: dict[Path, tuple[int, int] | None] = {}  # as it was touched last
        self._known: dict[Path, str] = {}  # the watcher of this database that was seen last
        self._strange: dict[Path, tuple[tuple[int, int] | None, int]] = {}  # as it was, for how many rounds
        self._told: dict[Path, str] = {}
        self._apart: dict[Path, int] = {}  # for how many rounds another watcher's name is not in the marker

    def are_ours(self, folders: FolderSet, acts: bool, other: str) -> bool:
        """Whether this watcher may act on an inbox, which it does now if `acts`; `other`: the watcher that does (empty:
        none). Raises DatabaseError."""
        self._compare(folders, other)
        path = markers.path_of(folders)
        seen = _seen(path)
        if not acts or seen is None or seen != self._own.get(path):
            mark = markers.read(folders)
            if mark and (why := self._fault(folders, path, mark, seen)):
                self._tell(folders, path, why)
                return False
            if acts:
                markers.write(folders, self._mine)
        self._told.pop(path, None)
        if acts:
            self._own[path] = _touch(path)
        return True

    def _compare(self, folders: FolderSet, other: str) -> None:
        """Say so if the other watcher acts on another folder of the same path."""
        path = markers.path_of(folders)
        is_other = other != "" and not elsewhere.sees(folders, other)
        rounds = self._apart[path] = self._apart.get(path, 0) + 1 if is_other else 0
        if rounds == LONG_ROUNDS:
            line = (
                f"{Doer.of(other)} acts on the inbox {escape(str(folders.inbox))}, but on another folder than the one"
                " that has this path here. Nothing is taken here. Mount the same folder, or give it another path"
            )
            log.error(line, action="other_folder", plain=True, route=folders.route.key)

    def close(self) -> None:
        """Say in the markers that this watcher has ended."""
        for path, seen in self._own.items():
            if seen is not None and seen == _seen(path):
                markers.end(path)

    def _fault(self, folders: FolderSet, path: Path, mark: Mark, seen: tuple[int, int] | None) -> str:
        if mark.installation != self._mine.installation:
            return markers.words_for(folders, mark, self._mine.installation)
        if self._is_known(path, mark.watcher):
            self._known[path] = mark.watcher
            self._strange.pop(path, None)
            return ""
        before, rounds = self._strange.get(path, (None, 0))
        rounds = rounds + 1 if seen == before else 0
        self._strange[path] = (seen, rounds)
        return str(_copied(folders, mark)) if rounds < ROUNDS else ""

    def _is_known(self, path: Path, watcher: str) -> bool:
        if watcher in ("", self._mine.watcher, self._known.get(path)) or self._is_dead(watcher):
            return True
        by_name = Candidate.objects.filter(name=watcher), Duty.objects.filter(holder=watcher)
        return any(rows.exists() for rows in by_name)

    def _tell(self, folders: FolderSet, path: Path, why: str) -> None:
        if self._told.get(path) != why:
            self._told[path] = why
            line = f"{why} It is not watched here until that ends."
            log.error(line, action="other_installation", plain=True, route=folders.route.key)


def _touch(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        os.utime(path)
    return _seen(path)
