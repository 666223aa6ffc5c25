"""Unfinished arrivals that were dropped earlier than others, and what names they have."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake import adopting, record
from dropslot.arrivals.intake.claim import Claim
from dropslot.arrivals.intake.drop_times import id_of_drop, time_of_drop
from dropslot.arrivals.intake.waiting import NOT_WHOLE
from dropslot.arrivals.models import Arrival
from dropslot.checks.bag import DECLARATION, PAYLOAD
from dropslot.config import Route
from dropslot.config.folders import FolderSet, folder_sets
from dropslot.core.states import UNFINISHED, State
from dropslot.watching.temporary import TemporaryNames

_COLUMNS = (
    "id",
    "route",
    "inbox",
    "name",
    "name_bytes",
    "is_folder",
    "in_place",
    "fields",
    "state",
    "epoch",
    "dropped_at",
)
_OF_TIME = 10  # letters of a ULID that tell its millisecond
MayReach = Callable[[Route, Mapping[str, str]], bool]


@dataclass(frozen=True, slots=True)
class Rival:
    """An arrival that is not finished; one that has no row yet is not saved. It lies at one of the paths that
    `whereabouts` gives."""

    arrival: Arrival
    folders: FolderSet
    whereabouts: Callable[[], Iterable[Path]]

    def common(self, names: Collection[str]) -> Iterator[str]:
        """Which of these items it has."""
        name = _name(self.arrival)
        if not self.arrival.is_folder:
            return iter([name] if name in names else [])
        return common(self._folder(), names)

    def _folder(self) -> str:
        """Where the items of a folder lie; empty: nowhere any more."""
        for path in self.whereabouts():
            if path.is_dir() and not path.is_symlink():
                is_bag = os.path.lexists(path / DECLARATION)
                return str(path / PAYLOAD if is_bag else path)
        return ""


def common(folder: str, names: Collection[str]) -> Iterator[str]:
    """Items of a folder that are among `names`; looks at about as many as the fewer of the two."""
    items = list(islice(_items(folder), len(names) + 1)) if folder else []
    if len(items) <= len(names):
        return (name for name in items if name in names)
    return (name for name in names if os.path.lexists(os.path.join(folder, name)))


def _items(folder: str) -> Iterator[str]:
    todo = [""]
    while todo:
        inner = todo.pop()
        try:
            with os.scandir(os.path.join(folder, inner)) as entries:
                for entry in entries:
                    path = f"{inner}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(f"{path}/")
                    else:
                        yield path
        except OSError:
            continue  # moved on meanwhile, or closed to the service: then nobody knows what is in it


class Rivals:
    """Of some works: those that may reach the same places, were dropped before one of them, and are not finished.

    From the inboxes on, so that what moves on during the look is seen further on.
    """

    def __init__(self, works: Sequence[Work], may_reach: MayReach) -> None:
        self._works = works
        self._may_reach = may_reach
        self._config = works[0].config
        self._last = max(work.arrival.dropped_at for work in works)
        self._sets: dict[str, list[FolderSet]] = {}

    def __iter__(self) -> Iterator[Rival]:
        for route in self._config.routes.values():
            if not route.leave_source and self._may_reach(route, {}):
                yield from self._without_row(route)
        yield from self._recorded()

    def _folders(self, route: Route) -> list[FolderSet]:
        if route.key not in self._sets:
            self._sets[route.key] = folder_sets(route, make=False)
        return self._sets[route.key]

    def _without_row(self, route: Route) -> Iterator[Rival]:
        young = self._are_young(route)
        again = any(work.epoch > 1 for work in self._works)
        for folders in self._folders(route) if young or again else ():
            if self._may_reach(route, folders.fields):
                if young:
                    yield from self._dropped(folders)
                if again:
                    yield from self._unrecorded(folders)

    def _are_young(self, route: Route) -> bool:
        """Whether one of the works came so short ago that what was dropped before it may still be judged."""
        judged_by = timezone.now() - 2 * route.settle - timedelta(seconds=1)
        return any(work.arrival.received_at > judged_by for work in self._works)

    def _dropped(self, folders: FolderSet) -> Iterator[Rival]:
        """What still lies in the inbox."""
        names = {item.path for work in self._works for item in work.listing.items}
        temporary, litter = TemporaryNames.of(folders.route), folders.route.litter
        try:
            with os.scandir(folders.inbox) as entries:
                for entry in entries:
                    may_have = entry.is_dir(follow_symlinks=False) or entry.name in names
                    if may_have and not temporary.match(entry.name) and not litter.match(entry.name):
                        yield from self._entry(folders, entry)
        except OSError:
            return  # whoever watches it says so

    def _entry(self, folders: FolderSet, entry: os.DirEntry[str]) -> Iterator[Rival]:
        try:
            seen = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        if time_of_drop(seen.st_ctime_ns) <= self._last:
            is_folder = stat.S_ISDIR(seen.st_mode)
            facts = (entry.name, is_folder, seen.st_uid, None, datetime.now(UTC))
            claim = Claim(id_of_drop(seen.st_ctime_ns), folders, *facts)
            yield self._rival(claim, State.WAITING, Path(entry.path))

    def _unrecorded(self, folders: FolderSet) -> Iterator[Rival]:
        """What was claimed, and has no row yet. A work that waited once may have seen it in the inbox before."""
        newest = max(work.id for work in self._works)[:_OF_TIME]
        held = {
            arrival: folder
            for arrival, _, folder in whereabouts.holdings(folders)
            if arrival[:_OF_TIME] <= newest
        }
        for arrival in held.keys() - set(
            Arrival.objects.filter(id__in=list(held)).values_list("id", flat=True)
        ):
            if claim := adopting.claim_in(folders, arrival, held[arrival]):
                yield self._rival(claim, State.READY, held[arrival] / claim.name)

    def _rival(self, claim: Claim, state: State, path: Path) -> Rival:
        arrival = Arrival(id=claim.id, state=state, **record.describe(self._config, claim))
        paths = (path, whereabouts.held(claim.folders, claim.id, 1) / claim.name)
        return Rival(arrival, claim.folders, lambda: paths)

    def _recorded(self) -> Iterator[Rival]:
        rows = Arrival.objects.filter(state__in=UNFINISHED, dropped_at__lte=self._last)
        # What is not whole may wait for a day; its sender's next try is not to wait for it.
        rows = rows.exclude(state=State.WAITING, evidence__has_key=NOT_WHOLE)
        for row in rows.exclude(id__in=[work.id for work in self._works]).only(*_COLUMNS):
            route = self._config.routes.get(row.route)
            if route and self._may_reach(route, row.fields):
                for folders in self._folders(route):
                    if str(folders.inbox) == row.inbox:
                        if row.state == State.WAITING:  # its name's fields are recorded when it is claimed
                            row.fields = record.called(self._config, folders, _name(row))["fields"]
                        yield Rival(row, folders, partial(_whereabouts, folders, row))


def _name(row: Arrival) -> str:
    return os.fsdecode(bytes(row.name_bytes))


def _whereabouts(folders: FolderSet, row: Arrival) -> Iterator[Path]:
    """Where a recorded arrival may lie now: an attempt that begins moves it on."""
    name = _name(row)
    if row.in_place or row.state == State.WAITING:
        yield folders.inbox / name
    for epoch in (row.epoch, row.epoch + 1, *range(row.epoch - 1, 0, -1)):
        yield whereabouts.held(folders, row.id, epoch) / name
    refused = whereabouts.refused(folders, row.id)
    yield from (
        refused / entry for entry in whereabouts.entry_of(refused, name)
    )  # perhaps under its earlier name
