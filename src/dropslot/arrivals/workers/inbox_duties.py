"""Several watchers may know the same inboxes, on one machine or on several: each inbox is a duty, which one has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from dropslot.arrivals import candidates
from dropslot.arrivals.upkeep.markers import identity
from dropslot.arrivals.workers import elsewhere
from dropslot.arrivals.workers.duties import Duties, on_duty
from dropslot.arrivals.workers.ownership import Beats
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, all_folders
from dropslot.core.names import escape

log = structlog.get_logger()


class InboxDuties:
    """The inboxes that this process could watch, and which of them it watches."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sets: list[FolderSet] = []
        self._missing: frozenset[str] = frozenset()
        self._duties: Duties | None = None
        self._beats: Beats | None = None
        self._down: dict[str, str] = {}  # machines that have what belongs to inboxes, as it was said

    @contextmanager
    def on_duty(self) -> Iterator[Duties]:
        """Take and renew the duties during the block."""
        self.find()
        try:
            with on_duty(self._config, candidates.WATCHER, self._wanted) as self._duties:
                self._beats = Beats(self._config, identity(self._config), self._duties.me)
                self._duties.soon()  # its name goes into the markers
                yield self._duties
        finally:
            if self._beats is not None:  # after the last round: nobody touches the markers any more
                self._beats.close()

    def find(self) -> list[FolderSet]:
        """All sets that there are now; the duties of new ones are taken soon."""
        before, self._sets = self._sets, all_folders(self._config)
        if self._duties and {one.inbox for one in self._sets} - {one.inbox for one in before}:
            self._duties.soon()
        return self._sets

    def acts(self, folders: FolderSet) -> bool:
        """Whether this process is to watch an inbox now. One that is missing here is looked for by everybody, and
        belongs to whoever has it."""
        duty = duty_of(folders)
        return duty in self._missing or (self._duties is not None and self._duties.holds(duty))

    def _wanted(self) -> list[str]:
        """A disk that fails counts as missing. While one hangs, this waits, and the duties pass to another watcher."""
        there = {duty_of(folders): os.path.isdir(folders.inbox) for folders in self._sets}
        self._missing = frozenset(duty for duty, is_there in there.items() if not is_there)
        standing_by = [one for one in self._sets if there[duty_of(one)] and not self.acts(one)]
        down = elsewhere.down(self._config, standing_by)
        self._say_who_is_down(down)
        sets = [one for one in self._sets if there[duty_of(one)] and str(one.inbox) not in down]
        return [duty_of(one) for one in sets if self._is_ours(one)]

    def _say_who_is_down(self, down: dict[str, str]) -> None:
        for inbox in down.keys() - self._down.keys():
            line = (
                f"{escape(down[inbox])} watched the inbox {escape(inbox)} and is down, and arrivals of it are under way"
                " there; the folder that has this path here is another one. Nothing is taken here. They wait until that"
                " machine is back. If it is lost for good, give the machine that replaces it the same name"
            )
            log.error(line, action="machine_down", plain=True, inbox=escape(inbox))
        self._down = down

    def _is_ours(self, folders: FolderSet) -> bool:
        if self._beats is None or self._duties is None:
            return True
        acts = self.acts(folders)
        other = "" if acts else self._duties.others.get(duty_of(folders), "")
        return self._beats.are_ours(folders, acts, other)


def duty_of(folders: FolderSet) -> str:
    """The name of the duty of watching an inbox."""
    return candidates.watching(folders.route.key, str(folders.inbox))
