"""The default event processor: claims complete entries."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from django.db import DatabaseError
from django.utils import timezone

from dropslot.arrivals.intake import claim, inplace, waiting_entries
from dropslot.arrivals.intake.claim import id_of_drop
from dropslot.arrivals.intake.record import Recorder
from dropslot.config.route_folders import FolderSet
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError, NameInFlight, SourceUnready
from dropslot.core.names import escape
from dropslot.watching import completion, reasons
from dropslot.watching.entries import Judged, Stuck
from dropslot.watching.file_events import Event
from dropslot.watching.partial_scans import Part
from dropslot.watching.processors import EventProcessor

log = structlog.get_logger()
_PAUSE_SECONDS = 0.05  # until the recorder may have room again


def always(_: FolderSet) -> bool:
    """For a process that takes from every inbox."""
    return True


class Claiming(NamedTuple):
    """The recorder of this process's claims, whether final names are trusted at once, and which inboxes this process is
    to watch now. The watching process puts it into its context before it creates a Deliver."""

    recorder: Recorder
    trust_names: bool
    acts: Callable[[FolderSet], bool] = always


class Deliver(EventProcessor):
    """Reports events to the completion rules of its inbox, and claims the entries that these rules find complete."""

    events = completion.EVENTS

    def __init__(self, folders: FolderSet) -> None:
        super().__init__(folders)
        self._claiming = kept(Claiming)
        self.completion = completion.Completion(
            folders.route, folders.inbox, trust_names=self._claiming.trust_names
        )
        self._waiting = waiting_entries.known(folders)
        self._missing: set[str] = set()  # of those, what the scan under way has not found
        self._told: dict[str, str] = {}  # name: why it could not be taken, said
        self._at_work: set[str] = set()  # in place, judged while an arrival of that name was being delivered
        self._in_place: dict[str, str] = {}  # name: what it was when it was claimed last
        self._take = self._take_in_place if folders.route.leave_source else self._take_from_inbox

    def on_created(self, event: Event) -> None:
        self.completion.noticed(event.name, "created", time.monotonic())

    def on_moved(self, event: Event) -> None:
        self.completion.moved(event.name, event.moved_from, time.monotonic())

    def on_deleted(self, event: Event) -> None:
        self._told.pop(event.name, None)
        self.completion.gone(event.name)

    def on_scan(self, entries: list[os.DirEntry[str]]) -> None:
        self.on_part_of_scan(Part(entries))

    def on_part_of_scan(self, part: Part) -> None:
        names = {entry.name for entry in part.entries}
        for name in self._at_work & names:
            # As if it were new: otherwise a judged entry is judged again only after another change.
            self.completion.noticed(name, "created", time.monotonic())
        self.completion.scanned(names, time.monotonic(), is_first=part.is_first, is_last=part.is_last)
        if part.is_first:
            self._missing = set(self._waiting)
        self._missing -= names
        if part.is_last:
            self._at_work.clear()
            self._forget_missing()

    def _forget_missing(self) -> None:
        if self._missing:
            waiting_entries.forget(self.folders, self._missing)
            self._waiting = {
                name: noted for name, noted in self._waiting.items() if name not in self._missing
            }

    def wants_scan(self) -> bool:
        return self.completion.wants_scan()

    def wake(self) -> float | None:
        when = self.completion.next_look()
        if when is not None and self._claiming.recorder.is_full:
            return max(when, time.monotonic() + _PAUSE_SECONDS)  # what is not claimed costs no memory
        return when

    def on_wake(self) -> None:
        for judged in self.completion.complete(time.monotonic()):
            # Asked each time: it may have been frozen, and another watcher acts now.
            if self._claiming.acts(self.folders):
                self._claim(judged)
            else:
                self._at_work.add(judged.name)  # the next scan looks again, if this process acts then
        for stuck in self.completion.stuck():
            self._note_stuck(stuck)

    def close(self) -> None:
        self.completion.close()

    def _claim(self, judged: Judged) -> None:
        try:
            taken = self._take(judged)
        except SourceUnready as error:
            self._wait(judged, error)
        except NameInFlight:
            self._at_work.add(
                judged.name
            )  # nothing can be done until the next rescan, so no drain waits for it
        except (DropslotError, OSError, DatabaseError) as error:
            self._say_not_claimed(judged, str(error).rstrip("."))
            self.completion.noticed(judged.name, "scanned", time.monotonic())
        else:
            self._told.pop(judged.name, None)
            if taken is not None:
                self._claiming.recorder.put(taken)

    def _say_not_claimed(self, judged: Judged, why: str) -> None:
        # It is tried every second; one log entry is enough.
        if self._told.get(judged.name) != why:
            self._told[judged.name] = why
            self._say(
                "not_claimed", judged, f"{self._shown(judged)} could not be taken: {why}. It is retried."
            )

    def _take_from_inbox(self, judged: Judged) -> claim.Claim | None:
        noted = self._waiting.get(judged.name)
        if noted and not noted.is_same(judged):
            waiting_entries.replaced(noted.id)
            self._waiting.pop(judged.name)
            noted = None
        taken = self._take_noted(judged, noted.id) if noted else self._take_new(judged)
        if taken is None:
            self.completion.noticed(judged.name, "scanned", time.monotonic())
        return taken

    def _take_new(self, judged: Judged) -> claim.Claim | None:
        return claim.claim_arrival(self.folders, judged, id_of_drop(judged.ctime_ns))

    def _take_noted(self, judged: Judged, noted: str) -> claim.Claim | None:
        """Take an entry that waited, under the id that people have seen. If another process has used that id, it is
        forgotten, and the next look takes the entry under a new one."""
        taken = claim.claim_arrival(self.folders, judged, noted, lambda: waiting_entries.still_waits(noted))
        if taken is not None or not waiting_entries.still_waits(noted):
            self._waiting.pop(judged.name, None)
        return taken

    def _take_in_place(self, judged: Judged) -> claim.Claim | None:
        taken = inplace.claim_in_place(self.folders, judged)
        if taken is None or self._in_place.get(judged.name) == taken.evidence["seen"]:
            return None
        self._in_place[judged.name] = taken.evidence["seen"]
        return taken

    def _wait(self, judged: Judged, error: SourceUnready) -> None:
        if self._told.get(judged.name) == str(error):
            return  # said; the next rescan tries again
        self._say("waiting", judged, str(error))
        self._note(judged, str(error), timezone.now())

    def _note_stuck(self, stuck: Stuck) -> None:
        reason = reasons.waits(self.folders.route, stuck.why)
        self._say("waiting", stuck.judged, f"{self._shown(stuck.judged)} waits: {reason}.")
        if not self.folders.route.leave_source:  # what stays in its place is no arrival before it is read
            self._note(stuck.judged, reason, datetime.fromtimestamp(stuck.since, UTC), is_whole=False)

    def _note(self, judged: Judged, reason: str, since: datetime, *, is_whole: bool = True) -> None:
        self._told[judged.name] = reason
        try:
            noted = waiting_entries.note(self.folders, judged, reason, since, is_whole=is_whole)
            self._waiting[judged.name] = noted
        except DatabaseError as trouble:
            self._told.pop(judged.name)
            log.warning(
                "It could not be recorded that an entry waits; this is retried",
                action="not_noted",
                error=str(trouble),
            )

    def _shown(self, judged: Judged) -> str:
        return escape(str(self.folders.inbox / judged.name))

    def _say(self, action: str, judged: Judged, line: str) -> None:
        log.warning(line, action=action, plain=True, route=self.folders.route.key, path=self._shown(judged))
