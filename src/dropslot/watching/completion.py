"""The rules by which entries of an inbox are complete, without a thread or a clock of their own."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import structlog

from dropslot.core.names import escape
from dropslot.core.patterns import Glob, forms
from dropslot.watching import quiet, reasons
from dropslot.watching.entries import NEVER_LOOKED_AT, Entry, Judged, Rule, Stuck
from dropslot.watching.partial_scans import MOST_KEPT, Room
from dropslot.watching.temporary import TemporaryNames
from dropslot.watching.walks import Agenda, Walked, Walks

if TYPE_CHECKING:
    from dropslot.config import Route

log = structlog.get_logger()

# `renamed`: within the inbox, from a name that was final too.
How = Literal["created", "moved", "renamed", "scanned"]

# The events that a route needs so that these rules work quickly; a rescan finds the rest.
EVENTS = frozenset({"in_create", "in_moved_to", "in_moved_from", "in_delete"})

RETRY_SECONDS = 1.0  # before the same entry is handed out again
_MARKER_SECONDS = (0.5, 5.0)  # between two looks for a marker, by the time waited so far
_STUCK_SECONDS = 30.0  # the longest between two looks at what holds something unfinished


class Waiting(NamedTuple):
    """An entry that is not complete yet: since when (seconds of the epoch), and what it waits for."""

    name: str
    since: float
    why: str


class Completion:
    """The rules of one route (DESIGN.md, "Complete?") over one inbox.

    Events and scans are reported to it; `complete` answers. All times are of time.monotonic. Used by one thread.
    Everything may be reported twice, or not at all as long as a scan follows.
    """

    def __init__(self, route: Route, inbox: Path, *, trust_names: bool = False) -> None:
        self._route = route
        self._inbox = str(inbox)
        self._settle = route.settle.total_seconds()
        self._trust = trust_names
        self._grace = 0.0 if trust_names else route.grace.total_seconds()
        self._give_up_ns = int(route.give_up.total_seconds() * 1e9)
        self._temporary = TemporaryNames.of(route)
        self._litter = route.litter
        self._test = Glob(route.test_names) if route.test_names else None
        self._entries: dict[str, Entry] = {}
        self._names = Agenda()  # one look costs one system call
        # A folder that counts as complete is checked once more, by its names; one that must be quiet is compared.
        inside = self._temporary.inside(self._litter)
        self._inside = Walks(self._lstat, self._inbox, inside, self.gone, names_only=True)
        self._trees = Walks(self._lstat, self._inbox, inside, self.gone, names_only=False)
        self._stuck: list[Stuck] = []
        self._room = Room()
        self._present: set[str] = set()  # known ones that the scan under way has found

    def noticed(self, name: str, how: How, now: float) -> None:
        """`name` appeared, or was found; also called again if an entry that was handed out could not be taken."""
        known = self._entries.get(name)
        if known is not None:
            self._noticed_again(known, how, now)
            return
        status = None if self._litter.match(name) or not self._room.take(name) else self._lstat(name)
        rule = None if status is None else self._rule(name, status, how)
        if rule is None or rule in NEVER_LOOKED_AT:
            self._room.looked_at(name)
        if status and rule and (rule not in NEVER_LOOKED_AT or len(self._entries) < MOST_KEPT):
            self._entries[name] = entry = Entry(name, rule, time.time(), now, status.st_ctime_ns)
            self._say_noticed(entry, how)
            self._schedule(entry, now + self._grace if rule is Rule.NOW else now)

    def moved(self, name: str, moved_from: str | None, now: float) -> None:
        """`name` came by a rename: from elsewhere (None), or from another name in the inbox."""
        was_final = moved_from is not None and not self._temporary.match(moved_from)
        self.noticed(name, "renamed" if was_final else "moved", now)

    def scanned(
        self, names: Iterable[str], now: float, *, is_first: bool = True, is_last: bool = True
    ) -> None:
        """A scan of the inbox, or a part of one, found these: new ones are noticed, in the order of the drops and as
        far as there is room, and after the last part missing ones are forgotten."""
        if is_first:
            self._room.overlooked, self._present = False, set()
        found = set(names)
        known = found & self._entries.keys()
        new = sorted(found - known, key=self._dropped) if self._room.left() else []
        for name in [*known, *new]:
            self.noticed(name, "scanned", now)
        self._room.overlooked |= not new and len(known) < len(found)
        self._present |= found & self._entries.keys()
        for name in self._entries.keys() - self._present if is_last else ():
            self.gone(name)

    def wants_scan(self) -> bool:
        """Whether entries were overlooked for want of room, and have room by now."""
        return self._room.wants_scan()

    def gone(self, name: str) -> None:
        """`name` was deleted, moved away or taken."""
        self._entries.pop(name, None)
        self._room.looked_at(name)
        for agenda in (self._names, self._inside, self._trees):
            agenda.drop(name)

    def next_look(self) -> float | None:
        """When `complete` must be called; a past time means at once, None only after news."""
        times = [agenda.next() for agenda in (self._names, self._inside, self._trees)]
        return min((when for when in times if when is not None), default=None)

    def complete(self, now: float) -> list[Judged]:
        """The complete entries, each once, in the order of the drops.

        Does a few milliseconds of work at a time: when there is more, `next_look` says at once.
        """
        judged, budget = [], quiet.SLICE
        while budget > 0 and (name := self._names.pop_due(now)) is not None:
            self._room.looked_at(name)
            judged.append(self._look_at_name(self._entries[name], now))
            budget -= 1
        for walks, judge in ((self._inside, self._judge_names), (self._trees, self._compare)):
            while budget > 0:
                walked, cost = walks.step(now)
                if not cost:
                    break
                budget -= cost
                if walked is not None:
                    self._room.looked_at(walked.name)
                    judged.append(self._judge(walked, judge, now))
        return sorted((one for one in judged if one is not None), key=lambda one: (one.ctime_ns, one.name))

    def stuck(self) -> list[Stuck]:
        """The entries found to be quiet but not whole since the last call."""
        found, self._stuck = self._stuck, []
        return found

    def waiting(self) -> list[Waiting]:
        """The entries that are not complete yet, in the order in which they were noticed."""
        return [
            Waiting(entry.name, entry.since, self._why(entry))
            for entry in self._entries.values()
            if not entry.finished and entry.handed is None
        ]

    def close(self) -> None:
        """Give back what a walk under way holds open."""
        self._inside.close()
        self._trees.close()

    # Which rule applies to a name. Litter has none: it is not noticed at all.

    def _rule(self, name: str, status: os.stat_result, how: How) -> Rule:
        if self._temporary.match(name):
            return Rule.TEMPORARY
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and not stat.S_ISREG(status.st_mode):
            return Rule.NOW  # a link or special file: the worker refuses it, unopened
        if reasons.takes(self._route, is_folder=is_folder):
            return self._rule_of_final(how)
        if reasons.ignores_other_kinds(self._route):
            return Rule.IGNORED
        return Rule.OTHER_KIND

    def _rule_of_final(self, how: How) -> Rule:
        preset = self._route.complete
        if preset == "marker":
            return Rule.MARKER
        if self._trust:
            return Rule.NOW
        if how != "renamed" and (preset == "named" or (preset == "renamed" and how == "moved")):
            return Rule.NOW
        return Rule.QUIET  # `renamed` too: "New folder" gets its name before it is filled

    def _noticed_again(self, entry: Entry, how: How, now: float) -> None:
        if entry.rule in (Rule.IGNORED, Rule.OTHER_KIND) and entry.handed is None:
            status = self._lstat(entry.name)
            if status is None or self._rule(entry.name, status, how) is not entry.rule:
                self._renotice(entry.name, how, now)
        elif entry.handed is not None:
            self._again_after_handing_out(entry, how, now)
        elif entry.rule is Rule.TEMPORARY or entry.finished:
            return
        elif how in ("moved", "renamed") and self._rule_of_final(how) is not entry.rule:
            # Another entry was moved onto it, or a scan was faster than the event.
            self._renotice(entry.name, how, now)

    def _renotice(self, name: str, how: How, now: float) -> None:
        self.gone(name)
        self.noticed(name, how, now)

    def _again_after_handing_out(self, entry: Entry, how: How, now: float) -> None:
        status = self._lstat(entry.name)
        if status is None or (status.st_dev, status.st_ino) != entry.handed:
            self._renotice(entry.name, how, now)
        elif not self._queued(entry):
            if self._route.leave_source and how == "scanned":
                entry.rule = Rule.QUIET  # it stays; only a change of it matters
            elif entry.rule is not Rule.MARKER:
                if entry.rule is Rule.QUIET:
                    entry.rule = self._rule_of_final(how)
                entry.settled = None
            entry.seen = None
            self._schedule(entry, now + RETRY_SECONDS)

    def _queued(self, entry: Entry) -> bool:
        return any(entry.name in agenda for agenda in (self._names, self._inside, self._trees))

    # Looking.

    def _schedule(self, entry: Entry, when: float) -> None:
        if entry.rule in (Rule.QUIET, Rule.OTHER_KIND):
            self._trees.add(entry.name, when)
            return
        self._trees.drop(entry.name)
        if entry.rule not in NEVER_LOOKED_AT:
            self._names.add(entry.name, when)

    def _look_at_name(self, entry: Entry, now: float) -> Judged | None:
        status = self._lstat(entry.name)
        if status is None:
            self.gone(entry.name)
            return None
        if entry.rule is Rule.MARKER and not self._marked(entry):
            self._schedule(
                entry, now + min(max(_MARKER_SECONDS[0], (now - entry.begun) / 20), _MARKER_SECONDS[1])
            )
            return None
        if self._grace and status.st_ctime_ns != entry.ctime_ns:
            entry.ctime_ns = (
                status.st_ctime_ns
            )  # its sender may still be writing, or its marker has just appeared
            self._schedule(entry, now + self._grace)
            return None
        if stat.S_ISDIR(status.st_mode):
            self._inside.add(entry.name, now)
            return None
        return self._finish(entry, status, status.st_size if stat.S_ISREG(status.st_mode) else 0)

    def _marked(self, entry: Entry) -> bool:
        for marker in forms(self._route.marker or ""):  # macOS sends decomposed accents
            try:
                os.lstat(os.path.join(self._inbox, entry.name, marker))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._say_trouble(entry, error)
                return False
            return True
        return False

    def _judge(
        self, walked: Walked, judge: Callable[[Entry, Walked, float], Judged | None], now: float
    ) -> Judged | None:
        entry = self._entries.get(walked.name)
        if entry is None:
            return None
        if isinstance(walked.error, FileNotFoundError):
            self.gone(walked.name)
            return None
        if walked.error is not None:
            self._say_trouble(entry, walked.error)
        return judge(entry, walked, now)

    def _judge_names(self, entry: Entry, walked: Walked, now: float) -> Judged | None:
        """Checks a folder that counts as complete: whether its content is complete, too."""
        if walked.seen is None:
            self._schedule(entry, now + RETRY_SECONDS)
            return None
        if walked.seen.is_whole:
            return self._finish(entry, walked.top, 0)
        # Somebody still writes to it, so it must also be quiet.
        entry.rule, entry.seen, entry.settled = Rule.QUIET, None, None
        self._schedule(entry, now)
        return None

    def _compare(self, entry: Entry, walked: Walked, now: float) -> Judged | None:
        seen = walked.seen
        if seen is not None and seen == entry.settled:
            return None  # handed out as it is now; the next scan looks again
        # A tree that takes long to walk is walked less often, so that a large upload does not use a whole core.
        pause = max(self._settle, 5 * (now - walked.begun))
        if seen is not None and (seen == entry.seen or self._trust):
            if entry.rule is Rule.OTHER_KIND or seen.is_whole or self._is_given_up(seen):
                return self._finish_quiet(entry, walked.top, seen, now)
            self._note_stuck(entry, walked.top, seen)
            if self._trust:
                return None  # a drain looks once
            pause = max(pause, min((now - entry.begun) / 20, _STUCK_SECONDS))
        else:
            entry.stuck = ""
        entry.seen = seen
        self._schedule(entry, now + pause)
        return None

    def _is_given_up(self, seen: quiet.Look) -> bool:
        # By the clock of the files, which also runs while no service does.
        return time.time_ns() - seen.newest_ns >= self._give_up_ns

    def _note_stuck(self, entry: Entry, top: os.stat_result, seen: quiet.Look) -> None:
        why = reasons.of_look(seen)
        is_quiet = not self._trust or time.time_ns() - seen.newest_ns >= self._settle * 1e9
        if is_quiet and entry.stuck != why:
            entry.stuck = why
            self._stuck.append(Stuck(Judged.of(entry.name, top, seen.size_bytes), why, seen.newest_ns / 1e9))

    def _finish_quiet(self, entry: Entry, top: os.stat_result, seen: quiet.Look, now: float) -> Judged | None:
        if self._route.complete == "marker" and entry.rule is Rule.QUIET and not self._marked(entry):
            entry.rule = Rule.MARKER  # it was removed again while something was unfinished
            self._schedule(entry, now + _MARKER_SECONDS[0])
            return None
        entry.settled = seen
        return self._finish(entry, top, seen.size_bytes)

    def _finish(self, entry: Entry, status: os.stat_result, size_bytes: int) -> Judged | None:
        is_test = self._test is not None and self._test.match(entry.name)
        if not entry.finished:
            entry.finished = True
            self._say("entry_finished", f"2|FINISHED: {self._shown(entry.name)}", entry.name)
            if is_test:
                line = f"A test: {self._shown(entry.name)} would be delivered now"
                self._say("entry_is_test", line, entry.name)
        if is_test:
            return None
        entry.handed = (status.st_dev, status.st_ino)
        return Judged.of(entry.name, status, size_bytes)

    def _dropped(self, name: str) -> tuple[int, str]:
        status = self._lstat(name)
        return (status.st_ctime_ns if status else 0), name

    def _lstat(self, name: str) -> os.stat_result | None:
        try:
            return os.lstat(os.path.join(self._inbox, name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # such as EIO or ESTALE: the next scan notices it again
            self._say_unreadable(name, error)
            return None

    # Saying.

    def _say_noticed(self, entry: Entry, how: How) -> None:
        verb = "MOVEDTO" if how == "moved" else "CREATE"
        self._say("entry_noticed", f"1|{verb} EVENT: {self._shown(entry.name)}", entry.name)
        if entry.rule is Rule.IGNORED:
            kind = "files" if self._route.takes != "files" else "directories"
            line = f"Ignored: {self._shown(entry.name)} (route {self._route.key} takes no {kind})"
            self._say("entry_ignored", line, entry.name)
        elif entry.rule is not Rule.NOW:
            self._say("entry_not_finished", f"2|NOTFINISHED: {self._shown(entry.name)}", entry.name)

    def _say_trouble(self, entry: Entry, error: OSError) -> None:
        if entry.trouble != str(error.strerror):
            entry.trouble = str(error.strerror)
            self._say_unreadable(entry.name, error)

    def _say_unreadable(self, name: str, error: OSError) -> None:
        path = self._shown(name)
        line = f"Cannot read {path}: {error.strerror}. It stays where it is and is looked at again."
        log.warning(line, action="entry_unreadable", plain=True, route=self._route.key, path=path)

    def _say(self, action: str, line: str, name: str) -> None:
        log.info(line, action=action, plain=True, route=self._route.key, path=self._shown(name))

    def _shown(self, name: str) -> str:
        return escape(os.path.join(self._inbox, name))

    def _why(self, entry: Entry) -> str:
        if entry.stuck:
            return f"waits: {reasons.waits(self._route, entry.stuck)}"
        waits = f"waits {entry.rule.value}"
        return f"{waits} ({entry.trouble})" if entry.trouble else waits
