"""Whose turn it is: arrivals that want the same names at a destination are planned in the order of their drops.

All others overtake freely. Those that are held until somebody releases them, or wait for something that is still to
come, keep nobody waiting. If an arrival's targets depend on its items, those that it has found count; until it has
found them, it may want any. Arrivals cannot wait in a circle: one that has recorded its intent waits for no turn, and
the others are strictly ordered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.paths import legs
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake import claim_without_row, record
from dropslot.arrivals.intake.claim import Claim, id_of_drop, in_order, time_of_drop
from dropslot.arrivals.intake.waiting_entries import NOT_WHOLE
from dropslot.arrivals.models import Arrival
from dropslot.audit.models import Event
from dropslot.config import Deliver, Route
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.contents.contents_of_arrival import folder_of_items
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape
from dropslot.core.patterns import Glob
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import UNFINISHED, State
from dropslot.core.templates import Piece, Template
from dropslot.watching.reasons import takes
from dropslot.watching.temporary import TemporaryNames

NOT_YET = "not_yet"  # key in the evidence: the last attempt ended because something was still to come

_template = lru_cache(maxsize=1024)(Template)
_Wanted = Mapping[str, Mapping[str, Work]]  # by the place's URL and the item


def turns(works: Sequence[Work]) -> Callable[[Work], None]:
    """A step that raises NameInFlight for a work if an earlier unfinished arrival wants one of its names. One query
    serves all of `works`; no two of them want the same name."""
    asking = [work for work in works if work.legs and not work.committed and not work.is_to_be_held]
    behind = _behind(asking) if asking else {}

    def require(work: Work) -> None:
        if work.id in behind:
            raise behind[work.id]

    return require


def names_of(work: Work) -> Iterator[tuple[str, str]]:
    """The names that an arrival wants: the URL of each place, and the items there."""
    for leg in work.legs:
        for path in work.contents.paths((leg.part or work.contents.listing).items):
            yield leg.target.url, path


def reached(rules: Iterable[Deliver], fields: Mapping[str, str], urls: Collection[str]) -> Iterator[str]:
    """The places among `urls` to which these rules may deliver an arrival with these fields. An unknown field matches
    anything. A place that two rules give may come twice."""
    for rule in rules:
        pieces = _template(rule.to).pieces
        if all(not piece.field or (piece.field in fields and not piece.spec) for piece in pieces):
            url = "".join(piece.literal + fields.get(piece.field, "") for piece in pieces)
            yield from [url] if url in urls else []
        else:
            yield from (url for url in urls if _may_give(pieces, fields, url))


def _may_give(pieces: Sequence[Piece], fields: Mapping[str, str], text: str) -> bool:
    """Whether the pieces may give the text. An unknown field matches any part of one path component."""
    ends = {0}  # a set, against exponential time: senders choose the names
    for piece in pieces:
        starts = {at + len(piece.literal) for at in ends if text.startswith(piece.literal, at)}
        if not piece.field:
            ends = starts
        elif piece.field in fields and not piece.spec:
            known = fields[piece.field]
            ends = {at + len(known) for at in starts if text.startswith(known, at)}
        else:
            ends = {end for at in starts for end in range(at + 1, _end_of_component(text, at) + 1)}
    return len(text) in ends


def _end_of_component(text: str, at: int) -> int:
    end = text.find("/", at)
    return len(text) if end < 0 else end


def _behind(works: Sequence[Work]) -> dict[str, NameInFlight]:
    """For each work that must wait, the reason."""
    wanted: dict[str, dict[str, Work]] = {}
    for work in works:
        for url, name in names_of(work):
            wanted.setdefault(url, {})[name] = work
    found: dict[str, NameInFlight] = {}
    rivals = Rivals(
        works,
        lambda route, fields: any(reached(route.deliver, fields, wanted)),
        set().union(*wanted.values()),
    )
    for rival in rivals:
        for name, work in _wanted_by(rival, wanted):
            if work.id not in found:
                found[work.id] = _after(rival, name)
            if len(found) == len(works):
                return found  # behind one that is stuck there may be thousands
    return found


def _wanted_by(rival: Rival, wanted: _Wanted) -> Iterator[tuple[str, Work]]:
    for url in set(_urls_of(rival, wanted)):
        for name in rival.common(names := wanted[url]):
            if in_order(rival.arrival) < in_order(names[name].arrival):
                yield name, names[name]


def _urls_of(rival: Rival, wanted: _Wanted) -> Iterator[str]:
    rules = rival.folders.route.deliver
    is_begun = rival.arrival.state in (State.PROCESSING, State.RETRYING)
    noted = legs.noted_targets(rival.arrival.id) if is_begun else {}
    if noted:
        yield from noted.keys() & wanted.keys()
        rules = [rule for rule in rules if rule.to not in noted.values()]
    yield from reached(rules, rival.arrival.fields, wanted)


def _after(rival: Rival, name: str) -> NameInFlight:
    where = {State.WAITING: "inbox", State.RETRYING: "processing, to be retried"}
    arrival = rival.arrival
    error = NameInFlight(
        f"{escape(name)} is also in {arrival.name} (arrival {arrival.id}), which was dropped earlier and is not "
        f"finished: it is in {where.get(State(arrival.state), 'processing')}",
        next_step="This one follows when that one is done or refused; `dropslot pending` says what that one waits for",
    )
    error.again_in = _seconds_of(arrival)
    return error


def _seconds_of(rival: Arrival) -> float | None:
    """Seconds until the rival may have ended: not before its next attempt. If it is at work, a tenth of the time that
    it took so far: with longer waits, arrivals that queue behind each other would add up these waits."""
    now = timezone.now()
    if rival.state == State.RETRYING:
        due = Arrival.objects.filter(id=rival.id).values_list("due_at", flat=True).first()
        return (due - now).total_seconds() if due else None
    if rival.state == State.PROCESSING:
        begun = Event.objects.filter(arrival=rival.id, kind__in=("started", "taken-over")).last()
        return (now - datetime.fromisoformat(begun.at)).total_seconds() / 10 if begun else None
    return None


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
_OF_TIME = 10  # the first letters of a ULID, which encode its millisecond
MayReach = Callable[[Route, Mapping[str, str]], bool]


@dataclass(frozen=True, slots=True)
class Rival:
    """An unfinished arrival. If it has no row yet, its `row` is not saved. It lies at one of the paths that
    `whereabouts` gives."""

    arrival: Arrival
    folders: FolderSet
    whereabouts: Callable[[], Iterable[Path]]

    def common(self, names: Collection[str]) -> Iterator[str]:
        """The names among these that it has."""
        name = _name(self.arrival)
        if not self.arrival.is_folder:
            return iter([name] if name in names else [])
        return common(self._folder(), names)

    def _folder(self) -> str:
        """Where the items of a folder lie; empty if it is gone."""
        for path in self.whereabouts():
            if path.is_dir() and not path.is_symlink():
                return str(folder_of_items(path))
        return ""


def common(folder: str, names: Collection[str]) -> Iterator[str]:
    """Items of a folder that are among `names`. The time depends on the smaller of the two."""
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
            continue  # it was moved meanwhile, or the service cannot read it


class Rivals:
    """Unfinished arrivals that may reach the same places as some works and were dropped before one of them.

    Inboxes are searched first: an arrival that moves on during the search is then seen at its next place.
    """

    def __init__(self, works: Sequence[Work], may_reach: MayReach, names: Collection[str]) -> None:
        self._works = works
        self._may_reach = may_reach
        self._names = names
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
        # An attempt that only waited for its turn is not counted.
        again = any(work.epoch > work.arrival.attempts for work in self._works)
        for folders in self._folders(route) if young or again else ():
            if self._may_reach(route, folders.fields):
                if young:
                    yield from self._dropped(folders)
                if again:
                    yield from self._unrecorded(folders)

    def _are_young(self, route: Route) -> bool:
        """Whether one of the works is so new that earlier drops may not be claimed yet."""
        judged_by = timezone.now() - 2 * route.settle - timedelta(seconds=1)
        return any(work.arrival.received_at > judged_by for work in self._works)

    def _dropped(self, folders: FolderSet) -> Iterator[Rival]:
        """Arrivals that are still in the inbox."""
        try:
            with os.scandir(folders.inbox) as found:
                entries = [entry for entry in found if self._may_have(entry)]
        except OSError:
            return  # the watcher reports an inbox that cannot be read
        is_drop = _drops_of(folders.route) if entries else None
        for entry in entries:
            if is_drop and (rival := self._entry(folders, entry, is_drop)):
                yield rival

    def _may_have(self, entry: os.DirEntry[str]) -> bool:
        return entry.name in self._names or entry.is_dir(follow_symlinks=False)

    def _entry(
        self, folders: FolderSet, entry: os.DirEntry[str], is_drop: Callable[[str, bool], bool]
    ) -> Rival | None:
        """The arrival that this entry would become. None if it was dropped later, as most of a backlog was, or is not a
        drop."""
        try:
            seen = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        is_folder = stat.S_ISDIR(seen.st_mode)
        if time_of_drop(seen.st_ctime_ns) > self._last or not is_drop(entry.name, is_folder):
            return None
        facts = (entry.name, is_folder, seen.st_uid, None, datetime.now(UTC))
        claim = Claim(id_of_drop(seen.st_ctime_ns), folders, *facts)
        return self._rival(claim, State.WAITING, Path(entry.path))

    def _unrecorded(self, folders: FolderSet) -> Iterator[Rival]:
        """Arrivals that were claimed and have no row yet. A work that waited before may have seen them in the inbox."""
        newest = max(work.id for work in self._works)[:_OF_TIME]
        held = {
            arrival: folder
            for arrival, _, folder in whereabouts.holdings(folders)
            if arrival[:_OF_TIME] <= newest
        }
        recorded: set[str] = set()
        for some in chunks(held, CHUNK):
            recorded |= set(Arrival.objects.filter(id__in=some).values_list("id", flat=True))
        for arrival in held.keys() - recorded:
            if claim := claim_without_row.claim_in(folders, arrival, held[arrival]):
                yield self._rival(claim, State.READY, held[arrival] / claim.name)

    def _rival(self, claim: Claim, state: State, path: Path) -> Rival:
        arrival = Arrival(id=claim.id, state=state, **record.describe(self._config, claim))
        paths = (path, whereabouts.held(claim.folders, claim.id, 1) / claim.name)
        return Rival(arrival, claim.folders, lambda: paths)

    def _recorded(self) -> Iterator[Rival]:
        for columns in self._rows():
            route = self._config.routes[columns["route"]]
            if self._may_reach(route, columns["fields"]):  # the cheapest test first: there may be thousands
                yield from self._rivals_of(route, Arrival(**columns))

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Earlier arrivals, in pages: the caller may stop at the first rival. Files and folders are found by different
        indexes: a hundred thousand may wait before one of the works."""
        if len(self._names) > CHUNK:
            return _paged(self._earlier())
        files = [escape(name) for name in self._names if "/" not in name]
        named = self._earlier().filter(is_folder=False, name__in=files)
        return chain(_paged(named), _paged(self._earlier().filter(is_folder=True)))

    def _earlier(self) -> QuerySet[Arrival]:
        """Rows that may be rivals, as far as the database can tell."""
        routes = [key for key, route in self._config.routes.items() if self._may_reach(route, {})]
        rows = Arrival.objects.filter(state__in=UNFINISHED, dropped_at__lte=self._last, route__in=routes)
        rows = rows.filter(held_at__isnull=True, finished_at__isnull=True)
        # An incomplete arrival may wait for a day; the sender's next try must not wait for it.
        rows = rows.exclude(state=State.WAITING, evidence__has_key=NOT_WHOLE)
        rows = rows.exclude(state=State.RETRYING, evidence__has_key=NOT_YET)
        return rows.exclude(id__in=[work.id for work in self._works]).order_by("dropped_at", "id")

    def _rivals_of(self, route: Route, row: Arrival) -> Iterator[Rival]:
        for folders in self._folders(route):
            if str(folders.inbox) == row.inbox:
                if row.state == State.WAITING:  # its name's fields are recorded when it is claimed
                    row.fields = record.called(self._config, folders, _name(row))["fields"]
                yield Rival(row, folders, partial(_whereabouts, folders, row))


def _paged(rows: QuerySet[Arrival]) -> Iterator[dict[str, Any]]:
    page = list(rows.values(*_COLUMNS)[:CHUNK])
    while page:
        yield from page
        if len(page) < CHUNK:
            return
        at, last = page[-1]["dropped_at"], page[-1]["id"]
        later = rows.filter(Q(dropped_at__gt=at) | Q(dropped_at=at, id__gt=last))
        page = list(later.values(*_COLUMNS)[:CHUNK])


def _drops_of(route: Route) -> Callable[[str, bool], bool]:
    """A function that takes an inbox entry's name and whether it is a folder, and says whether it is a drop."""
    temporary, test = TemporaryNames.of(route), Glob(route.test_names) if route.test_names else None

    def is_drop(name: str, is_folder: bool) -> bool:
        return (
            takes(route, is_folder=is_folder)
            and not temporary.match(name)
            and not route.litter.match(name)
            and not (test and test.match(name))
        )

    return is_drop


def _name(row: Arrival) -> str:
    return os.fsdecode(bytes(row.name_bytes))


def _whereabouts(folders: FolderSet, row: Arrival) -> Iterator[Path]:
    """Where a recorded arrival may lie now: an attempt that begins moves it on."""
    name = _name(row)
    if row.in_place or row.state == State.WAITING:
        yield folders.inbox / name
    for epoch in range(
        1, row.epoch + 2
    ):  # in the order in which it moves; it stays at the first while its destination is away
        yield whereabouts.held(folders, row.id, epoch) / name
    refused = whereabouts.refused(folders, row.id)
    yield from (
        refused / entry for entry in whereabouts.entry_of(refused, name)
    )  # perhaps under its earlier name
