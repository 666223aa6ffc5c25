"""What is arriving now: how much of it is there, how fast it goes, and how long it will take.

An entry of an inbox has no known end, so it has a size and a rate only. Of an arrival in processing the bytes are
counted that lie in its staging folders on this machine; what goes to a server cannot be seen from here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from django.db.models import QuerySet

from dropslot.arrivals import whereabouts
from dropslot.arrivals.models import Arrival, Upload
from dropslot.config import Config, Route
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError
from dropslot.core.names import RESERVED, escape
from dropslot.core.states import State
from dropslot.core.templates import Template
from dropslot.destinations.layout import STAGE, epoch_of_stage
from dropslot.files.descriptors import FOLDER

MOST_SHOWN = 20
_MOST_ENTRIES = 5_000  # of one tree that is measured
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Arriving:
    """One entry. `total_bytes` and what follows from it are None if they are not known; `files` has a `+` in words if
    there are `more` than were counted."""

    id: str
    route: str
    name: str
    sender: str
    state: str  # empty: still in the inbox
    since: datetime
    files: int | None
    here_bytes: int | None
    total_bytes: int | None
    rate: float | None = None  # bytes a second
    more: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Until all of it is there, if it goes on like this."""
        if not self.rate or self.total_bytes is None or self.here_bytes is None:
            return None
        return max(0.0, (self.total_bytes - self.here_bytes) / self.rate)

    @property
    def percent(self) -> int | None:
        """How much of it is there."""
        if not self.total_bytes or self.here_bytes is None:
            return None
        return min(100, 100 * self.here_bytes // self.total_bytes)


class Measured(NamedTuple):
    """Files and bytes of a tree; `is_whole` is False if there are more."""

    files: int
    size_bytes: int
    is_whole: bool


@dataclass(slots=True)
class _Rates:
    """What was seen last of each entry: when, how many bytes, and the rate until then."""

    seen: dict[str, tuple[float, int, float | None]] = field(default_factory=dict)

    def of(self, key: str, size_bytes: int) -> float | None:
        now = monotonic()
        at, before, rate = self.seen.get(key, (now, size_bytes, None))
        if now - at >= 1:
            latest = max(0, size_bytes - before) / (now - at)
            rate = latest if rate is None else (rate + latest) / 2
        elif key in self.seen:
            return rate
        if len(self.seen) > 1000:
            self.seen.clear()
        self.seen[key] = (now, size_bytes, rate)
        return rate


def arriving(config: Config, routes: Iterable[Route], seen: QuerySet[Arrival]) -> list[Arriving]:
    """What is in processing, then what is in the inboxes of the routes; the oldest first, MOST_SHOWN of each."""
    rows = list(seen.filter(state=State.PROCESSING).order_by("dropped_at")[:MOST_SHOWN])
    entries = (entry for route in routes for entry in _in_inboxes(route))
    return [*(_in_work(config, row) for row in rows), *islice(entries, MOST_SHOWN)]


def measure(path: str) -> Measured:
    """What lies at a path now, up to _MOST_ENTRIES; nothing if it has gone or cannot be read. No link is followed, also
    if one is put in place meanwhile."""
    count = _Count()
    with suppress(OSError):  # taken just now, or not ours to read
        top = os.lstat(path)
        if stat.S_ISDIR(top.st_mode):
            count.add_folder(os.open(path, FOLDER), 0)
        else:
            count.files, count.size_bytes = 1, top.st_size
    return Measured(count.files, count.size_bytes, count.is_whole)


@dataclass(slots=True)
class _Count:
    files: int = 0
    size_bytes: int = 0
    entries: int = 0
    is_whole: bool = True

    def add_folder(self, descriptor: int, depth: int) -> None:
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if self.entries >= _MOST_ENTRIES or depth > _DEEPEST:
                        self.is_whole = False
                        return
                    self.entries += 1
                    self._add(entry, descriptor, depth)
        finally:
            os.close(descriptor)

    def _add(self, entry: os.DirEntry[str], above: int, depth: int) -> None:
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                self.add_folder(os.open(entry.name, FOLDER, dir_fd=above), depth + 1)
            else:
                self.files += 1
                self.size_bytes += entry.stat(follow_symlinks=False).st_size


def _in_inboxes(route: Route) -> Iterator[Arriving]:
    if route.leave_source:
        return  # what lies there stays there
    for folders in folder_sets(route, make=False):
        names = sorted(islice(_names(folders), 1000), key=lambda pair: pair[1])
        senders = dict(
            Upload.objects.filter(inbox=str(folders.inbox)).values_list("name", "sender") if names else ()
        )
        for name, ctime in names[:MOST_SHOWN]:
            yield _entry(folders, name, ctime, senders.get(escape(name), ""))


def _names(folders: FolderSet) -> Iterator[tuple[str, float]]:
    try:
        with os.scandir(folders.inbox) as entries:
            for entry in entries:
                if not folders.route.litter.match(entry.name):
                    yield entry.name, entry.stat(follow_symlinks=False).st_ctime
    except OSError:
        return  # `doctor` reports an inbox that cannot be read


def _entry(folders: FolderSet, name: str, ctime: float, sender: str) -> Arriving:
    path = str(folders.inbox / name)
    found = measure(path)
    return Arriving(
        "",
        folders.route.key,
        escape(name),
        sender,
        "",
        datetime.fromtimestamp(ctime, UTC),
        found.files,
        found.size_bytes,
        None,
        kept(_Rates).of(path, found.size_bytes),
        not found.is_whole,
    )


def _in_work(config: Config, row: Arrival) -> Arriving:
    whole = _whole(config, row)
    staged = _staged(config, row)
    key = f"{row.id}-{row.epoch}"
    return Arriving(
        row.id,
        row.route,
        row.name,
        row.sender,
        row.state,
        row.received_at,
        whole.files if whole else row.items,
        staged,
        whole.size_bytes if whole and whole.is_whole else row.size_bytes,
        None if staged is None else kept(_Rates).of(key, staged),
        bool(whole and not whole.is_whole),
    )


def _whole(config: Config, row: Arrival) -> Measured | None:
    """All of an arrival in processing; None if it cannot be seen."""
    if row.items is not None and row.size_bytes is not None:
        return Measured(row.items, row.size_bytes, True)
    route = config.routes.get(row.route)
    for folders in folder_sets(route, make=False) if route and not row.in_place else ():
        if str(folders.inbox) == row.inbox:
            found = measure(str(whereabouts.held(folders, row.id, row.epoch)))
            return found if found.files else None
    return None


def _staged(config: Config, row: Arrival) -> int | None:
    """Bytes at the destination of this machine that has the fewest; None if no destination is here."""
    route = config.routes.get(row.route)
    counted = [
        sum(measure(str(stage)).size_bytes for stage in _stages(homes, row))
        for rule in (route.deliver if route else ())
        if (homes := _homes(rule.folder_here, rule.to, row))
    ]
    return min(counted) if counted else None


def _homes(fixed: str | None, to: str, row: Arrival) -> Sequence[Path]:
    """The folders in which a staging folder may lie: from the fixed part of the destination to its target."""
    if fixed is None:
        return ()
    first = Path(fixed)
    try:
        target = Path(Template(to).fill(row.fields))
    except (DropslotError, KeyError, ValueError):  # a field that is found out later
        return (first,)
    return [first, *(part for part in (*reversed(target.parents), target) if first in part.parents)]


def _stages(homes: Iterable[Path], row: Arrival) -> Iterator[Path]:
    for home in homes:
        folder = home / RESERVED / STAGE
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        yield from (folder / name for name in names if epoch_of_stage(row.id, name) == row.epoch)
