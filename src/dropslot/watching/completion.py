"""Which entries of an inbox are complete now: the rules, without a thread or a clock of their own."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import structlog

from dropslot.core.names import escape
from dropslot.core.patterns import Glob, forms
from dropslot.watching import quiet
from dropslot.watching.agenda import Agenda
from dropslot.watching.temporary import TemporaryNames

if TYPE_CHECKING:
    from dropslot.config import Route

log = structlog.get_logger()

How = Literal["created", "moved", "scanned"]

# What a route must hear of for these rules to be quick; a rescan finds the rest.
EVENTS = frozenset({"in_create", "in_moved_to", "in_moved_from", "in_delete"})

RETRY_SECONDS = 1.0  # before the same entry is handed out again
_MARKER_SECONDS = (0.5, 5.0)  # between two looks for a marker, by how long it has been waited for


class Judged(NamedTuple):
    """A complete entry, as the lstat saw it that judged it; a claim compares `device` and `inode`, and `ctime_ns` tells
    when it was dropped.

    `size_bytes` is a file's size, and of a folder the sum of its files where the rule walked it, else 0.
    """

    name: str
    device: int
    inode: int
    is_folder: bool
    size_bytes: int
    uid: int
    ctime_ns: int = 0


class Waiting(NamedTuple):
    """An entry that is not complete yet: since when (seconds of the epoch), and what it waits for."""

    name: str
    since: float
    why: str


class Rule(Enum):
    """What an entry waits for; the value says it to people."""

    NOW = "to be taken"
    QUIET = "until nothing about it changes"
    MARKER = "for its marker file"
    TEMPORARY = "to be renamed: its name is a temporary one"
    IGNORED = "for nothing: the route does not take its kind"


_NEVER = (Rule.TEMPORARY, Rule.IGNORED)


@dataclass(slots=True)
class _Entry:
    name: str
    rule: Rule
    since: float  # seconds of the epoch
    begun: float  # monotonic
    seen: quiet.Look | None = None
    handed: tuple[int, int] | None = None  # device and inode, once it was handed out
    settled: quiet.Look | None = None  # what it looked like then
    finished: bool = False  # has been said
    trouble: str = ""


@dataclass(slots=True)
class _Walk:
    entry: _Entry
    top: os.stat_result
    begun: float  # monotonic
    steps: Generator[None, None, quiet.Look | None]


class Completion:
    """The rules of one route (DESIGN.md, "Complete?") over one inbox.

    Fed with what events and scans show; `complete` answers. All times are of time.monotonic. Used by one
    thread. Everything may be told twice, or not at all as long as a scan follows.
    """

    def __init__(self, route: Route, inbox: Path, *, trust_names: bool = False) -> None:
        self._route = route
        self._inbox = str(inbox)
        self._settle = route.settle.total_seconds()
        self._trust = trust_names
        self._temporary = TemporaryNames.of(route)
        self._litter = route.litter
        self._test = Glob(route.test_names) if route.test_names else None
        self._entries: dict[str, _Entry] = {}
        self._names = Agenda()  # one look costs one system call
        self._trees = Agenda()  # one look is a walk
        self._walk: _Walk | None = None

    def noticed(self, name: str, how: How, now: float) -> None:
        """`name` appeared, or was found; also told again when what was handed out could not be taken."""
        known = self._entries.get(name)
        if known is not None:
            self._noticed_again(known, how, now)
            return
        rule = self._rule(name, how)
        if rule is not None:
            self._entries[name] = entry = _Entry(name, rule, time.time(), now)
            self._say_noticed(entry, how)
            self._schedule(entry, now)

    def scanned(self, names: Iterable[str], now: float) -> None:
        """All that a scan of the inbox found: what is new is noticed, in the order of the drops, and what is not among
        it is forgotten."""
        found = set(names)
        known = found & self._entries.keys()
        for name in [*known, *sorted(found - known, key=self._dropped)]:
            self.noticed(name, "scanned", now)
        for name in self._entries.keys() - found:
            self.gone(name)

    def gone(self, name: str) -> None:
        """`name` was deleted, moved away or taken."""
        self._entries.pop(name, None)
        self._names.drop(name)
        self._trees.drop(name)
        if self._walk is not None and self._walk.entry.name == name:
            self.close()

    def next_look(self) -> float | None:
        """When `complete` wants to be called; a past time means at once, None when there is news."""
        if self._walk is not None:
            return float("-inf")
        times = [when for when in (self._names.next(), self._trees.next()) if when is not None]
        return min(times, default=None)

    def complete(self, now: float) -> list[Judged]:
        """What is complete, each entry once, in the order of the drops.

        Does a few milliseconds of work at a time: when there is more, `next_look` says at once.
        """
        judged, budget = [], quiet.SLICE
        while budget > 0 and (name := self._names.pop_due(now)) is not None:
            judged.append(self._look_at_name(self._entries[name], now))
            budget -= 1
        while budget > 0 and (self._walk is not None or self._begin_walk(now)):
            one, cost = self._go_on_walking(now)
            judged.append(one)
            budget -= cost
        return sorted((one for one in judged if one is not None), key=lambda one: (one.ctime_ns, one.name))

    def waiting(self) -> list[Waiting]:
        """What is not complete yet, in the order in which it was noticed."""
        return [
            Waiting(entry.name, entry.since, self._why(entry))
            for entry in self._entries.values()
            if entry.rule is not Rule.IGNORED and not entry.finished and entry.handed is None
        ]

    def close(self) -> None:
        """Give back what a walk under way holds open."""
        if self._walk is not None:
            self._walk.steps.close()
            self._walk = None

    # What rule holds for a name. Litter has none: it is not noticed at all.

    def _rule(self, name: str, how: How) -> Rule | None:
        if self._litter.match(name):
            return None
        if self._temporary.match(name):
            return Rule.TEMPORARY if self._lstat(name) else None
        status = self._lstat(name)
        if status is None:
            return None
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            return Rule.NOW  # a link or special file: what takes it refuses it, unopened
        if not self._takes(stat.S_ISDIR(status.st_mode)):
            return Rule.IGNORED
        return self._rule_of_final(how)

    def _rule_of_final(self, how: How) -> Rule:
        preset = self._route.complete
        if preset == "marker":
            return Rule.MARKER
        if self._trust or preset == "named" or (preset == "renamed" and how == "moved"):
            return Rule.NOW
        return Rule.QUIET

    def _takes(self, is_folder: bool) -> bool:
        if self._route.complete == "marker" and not is_folder:
            return False  # nothing can appear inside of a file
        return self._route.takes in ("any", "directories" if is_folder else "files")

    def _noticed_again(self, entry: _Entry, how: How, now: float) -> None:
        if entry.rule is Rule.IGNORED:
            if self._rule(entry.name, how) is not Rule.IGNORED:
                self._renotice(entry.name, how, now)
        elif entry.handed is not None:
            self._again_after_handing_out(entry, how, now)
        elif entry.rule is Rule.TEMPORARY or entry.finished:
            return
        elif how == "moved" and entry.rule is Rule.QUIET and self._rule_of_final(how) is Rule.NOW:
            entry.rule = Rule.NOW  # another one was moved onto it, or a scan was quicker than the event
            self._say_noticed(entry, how)
            self._schedule(entry, now)

    def _renotice(self, name: str, how: How, now: float) -> None:
        self.gone(name)
        self.noticed(name, how, now)

    def _again_after_handing_out(self, entry: _Entry, how: How, now: float) -> None:
        status = self._lstat(entry.name)
        if status is None or (status.st_dev, status.st_ino) != entry.handed:
            self._renotice(entry.name, how, now)
        elif not self._queued(entry):
            if self._route.leave_source and how == "scanned":
                entry.rule = Rule.QUIET  # it stays; only a change of it is news
            elif entry.rule is not Rule.MARKER:
                entry.rule = Rule.NOW if entry.rule is Rule.NOW else self._rule_of_final(how)
                entry.settled = None
            entry.seen = None
            self._schedule(entry, now + RETRY_SECONDS)

    def _queued(self, entry: _Entry) -> bool:
        walked = self._walk is not None and self._walk.entry is entry
        return walked or entry.name in self._names or entry.name in self._trees

    # Looking.

    def _schedule(self, entry: _Entry, when: float) -> None:
        if entry.rule is Rule.QUIET:
            self._trees.add(entry.name, when)
            return
        self._trees.drop(entry.name)
        if self._walk is not None and self._walk.entry is entry:
            self.close()
        if entry.rule not in _NEVER:
            self._names.add(entry.name, when)

    def _look_at_name(self, entry: _Entry, now: float) -> Judged | None:
        status = self._lstat(entry.name)
        if status is None:
            self.gone(entry.name)
            return None
        if entry.rule is Rule.MARKER and not self._marked(entry):
            self._schedule(
                entry, now + min(max(_MARKER_SECONDS[0], (now - entry.begun) / 20), _MARKER_SECONDS[1])
            )
            return None
        return self._finish(entry, status, status.st_size if stat.S_ISREG(status.st_mode) else 0)

    def _marked(self, entry: _Entry) -> bool:
        for marker in forms(self._route.marker or ""):  # macOS sends accents apart
            try:
                os.lstat(os.path.join(self._inbox, entry.name, marker))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._say_trouble(entry, error)
                return False
            return True
        return False

    def _begin_walk(self, now: float) -> bool:
        while (name := self._trees.pop_due(now)) is not None:
            status = self._lstat(name)
            if status is not None:
                steps = quiet.look(os.path.join(self._inbox, name), status)
                self._walk = _Walk(self._entries[name], status, now, steps)
                return True
            self.gone(name)
        return False

    def _go_on_walking(self, now: float) -> tuple[Judged | None, int]:
        """One slice of the walk under way; what it found complete, and how many entries that cost."""
        assert self._walk is not None
        walk = self._walk
        try:
            next(walk.steps)
        except StopIteration as end:
            self._walk = None
            seen: quiet.Look | None = end.value
            return self._compare(walk, seen, now), min(seen.entries, quiet.SLICE) if seen else quiet.SLICE
        except FileNotFoundError:
            self.gone(walk.entry.name)
            return None, 1
        except OSError as error:
            self._walk = None
            self._say_trouble(walk.entry, error)
            return self._compare(walk, None, now), 1
        return None, quiet.SLICE

    def _compare(self, walk: _Walk, seen: quiet.Look | None, now: float) -> Judged | None:
        entry = walk.entry
        if seen is not None and seen == entry.settled:
            return None  # handed out as it is now; the next scan looks again
        if seen is not None and seen == entry.seen:
            entry.settled = seen
            return self._finish(entry, walk.top, seen.size_bytes)
        entry.seen = seen
        # A tree that takes long to walk is walked less often, so that a large upload does not cost a core.
        self._schedule(entry, now + max(self._settle, 5 * (now - walk.begun)))
        return None

    def _finish(self, entry: _Entry, status: os.stat_result, size_bytes: int) -> Judged | None:
        if not entry.finished:
            entry.finished = True
            self._say("entry_finished", f"2|FINISHED: {self._shown(entry.name)}", entry.name)
        if self._test is not None and self._test.match(entry.name):
            return None
        entry.handed = (status.st_dev, status.st_ino)
        is_folder = stat.S_ISDIR(status.st_mode)
        facts = (status.st_dev, status.st_ino, is_folder, size_bytes, status.st_uid, status.st_ctime_ns)
        return Judged(entry.name, *facts)

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

    def _say_noticed(self, entry: _Entry, how: How) -> None:
        verb = "MOVEDTO" if how == "moved" else "CREATE"
        self._say("entry_noticed", f"1|{verb} EVENT: {self._shown(entry.name)}", entry.name)
        if entry.rule is Rule.IGNORED:
            kind = "files" if self._route.takes != "files" else "directories"
            line = f"Ignored: {self._shown(entry.name)} (route {self._route.key} takes no {kind})"
            self._say("entry_ignored", line, entry.name)
        elif entry.rule is not Rule.NOW:
            self._say("entry_not_finished", f"2|NOTFINISHED: {self._shown(entry.name)}", entry.name)

    def _say_trouble(self, entry: _Entry, error: OSError) -> None:
        if entry.trouble != str(error.strerror):
            entry.trouble = str(error.strerror)
            self._say_unreadable(entry.name, error)

    def _say_unreadable(self, name: str, error: OSError) -> None:
        path = self._shown(name)
        line = f"Cannot look at {path}: {error.strerror}. It stays where it is and is looked at again."
        log.warning(line, action="entry_unreadable", plain=True, route=self._route.key, path=path)

    def _say(self, action: str, line: str, name: str) -> None:
        log.info(line, action=action, plain=True, route=self._route.key, path=self._shown(name))

    def _shown(self, name: str) -> str:
        return escape(os.path.join(self._inbox, name))

    def _why(self, entry: _Entry) -> str:
        waits = f"waits {entry.rule.value}"
        return f"{waits} ({entry.trouble})" if entry.trouble else waits
