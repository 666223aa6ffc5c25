"""Names and versions: the name of each item at a target, and which items are already there.

Looking (which may hash what is stored) happens before the transaction, inserting within it; the unique constraint on
(place, stored_as) decides between two arrivals that planned the same name.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dropslot.arrivals.delivery.work import Leg, Row, Work
from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.contents.base import Staged
from dropslot.core import manifests
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape, versioned
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import Outcome, State
from dropslot.destinations.base import Planned, Stored


@dataclass(slots=True)
class _Names:
    """Names that a plan may not use: those of the arrival's other items, those that the plan has given out, and those
    that the ledger has given to other arrivals. Names that this arrival got in an interrupted attempt are free again;
    otherwise a crash would skip a version."""

    arrival: str
    place: Place | None
    items: frozenset[str]
    given: set[str] = field(default_factory=set)
    others: frozenset[str] = frozenset()


def look_up_versions(works: Sequence[Work]) -> dict[str, Shelf]:
    """The ledger's versions of all items that these works want to deliver."""
    return shelves(
        (leg.target.url, [path for path, _ in work.contents.delivered(leg.staged)])
        for work in works
        for leg in work.legs
    )


def plan_names(work: Work, leg: Leg, shelf: Shelf) -> None:
    """Fill in the leg's rows, the items to publish, and its manifest.

    Raises NameInFlight when another unfinished arrival has reserved one of the names.
    """
    leg.place, leg.adopted, leg.altered = shelf.place, [], []
    payload = work.contents.delivered(leg.staged)
    earlier = published_before(work, leg, shelf)
    fresh = shelf.place is None and leg.drop.is_new()
    leg.rows = _fresh(payload) if fresh else _beside(work, leg, shelf, payload, earlier)
    staged_as = {path: item.path for path, item in payload} if work.contents.prefix else None
    leg.publish = [
        Planned(staged_as[row.item] if staged_as else row.item, row.stored_as, row.sha256)
        for row in leg.rows
        if row.outcome == Outcome.DELIVERED and row.item not in earlier
    ]
    leg.kept = [known.stored_as for known in earlier.values()]
    leg.manifest = manifest_of(leg.rows)


def manifest_of(rows: Iterable[Row]) -> str:
    """A manifest of all rows, in sha256sum's format."""
    return manifests.write((row.sha256, row.stored_as) for row in rows)


def published_before(work: Work, leg: Leg, shelf: Shelf) -> dict[str, Known]:
    """Versions that an earlier attempt of this arrival has already published, by item. Their rows and files stay."""
    if not work.committed:
        return {}
    mine = (
        (item, known)
        for item, several in shelf.versions.items()
        for known in several
        if known.arrival == work.id
    )
    return {item: known for item, known in mine if leg.drop.digest(known.stored_as) == known.sha256}


def _fresh(payload: Sequence[tuple[str, Staged]]) -> list[Row]:
    """Rows for a new target. It holds nothing: every item is version 1 under its own name."""
    return [
        Row(path, path, 1, Outcome.DELIVERED, False, item.sha256, item.size_bytes, item.mtime_ns)
        for path, item in payload
    ]


def _beside(
    work: Work, leg: Leg, shelf: Shelf, payload: Sequence[tuple[str, Staged]], earlier: dict[str, Known]
) -> list[Row]:
    """Rows for a target that holds something already."""
    others = frozenset(name for name, arrival in shelf.given.items() if arrival != work.id)
    names = _Names(work.id, shelf.place, frozenset(path for path, _ in payload), others=others)
    rows: list[Row] = []
    for path, item in payload:
        if path in earlier:
            row = _kept(path, item, earlier[path])
        else:
            row = _row(work, leg, path, item, _versions(work, shelf, path), names)
        names.given.add(row.stored_as)
        rows.append(row)
    return rows


def _versions(work: Work, shelf: Shelf, path: str) -> list[Known]:
    """The versions that other arrivals delivered. Versions that this arrival had planned before are planned anew."""
    if path not in shelf.versions:
        return []
    versions = [known for known in shelf.versions[path] if known.arrival != work.id]
    for known in versions:
        if not known.finished:
            raise in_flight(path, known.arrival)
    return versions


def _kept(path: str, item: Staged, had: Known) -> Row:
    # The row records the delivered bytes, even if the source has changed since.
    return Row(
        path,
        had.stored_as,
        had.version,
        Outcome.DELIVERED,
        had.superseded,
        had.sha256,
        had.size_bytes,
        item.mtime_ns,
    )


def in_flight(item: str, arrival: str) -> NameInFlight:
    """Two arrivals want one name at once."""
    return NameInFlight(
        f"{escape(item)} is being delivered by arrival {arrival} now",
        next_step="This one follows when that one is done",
    )


def _row(work: Work, leg: Leg, path: str, item: Staged, known: list[Known], names: _Names) -> Row:
    sha256 = item.sha256
    if not known and (adopted := _adopt(leg, path)) is not None:
        known = [adopted]
    newest = max(known, key=lambda version: (version.dropped_at, version.version), default=None)
    same = None
    for version in sorted(known, key=lambda version: version.version):
        if _is_intact(leg, version, read=version.sha256 == sha256) and version.sha256 == sha256:
            same = version
    if same is not None:
        superseded = same is not newest
        size, mtime = item.size_bytes, item.mtime_ns
        return Row(path, same.stored_as, same.version, Outcome.UNCHANGED, superseded, sha256, size, mtime)
    number = max((version.version for version in known), default=0) + 1
    superseded = newest is not None and newest.dropped_at > work.arrival.dropped_at
    row = Row(path, path, number, Outcome.DELIVERED, superseded, sha256, item.size_bytes, item.mtime_ns)
    return _lost(leg, row, {version.version for version in known}, names) or _next_free(
        leg, row, names, may_be_there=True
    )


def _lost(leg: Leg, row: Row, known: set[int], names: _Names) -> Row | None:
    """The row of an earlier version that is stored but missing from the ledger."""
    for version in sorted(set(range(2, row.version)) - known):
        if _holds(leg, name := stored_name(row.item, version), row, names):
            return _found_again(leg, row._replace(version=version, stored_as=name, superseded=True))
    return None


def _found_again(leg: Leg, row: Row) -> Row:
    leg.adopted.append((row.stored_as, row.sha256, row.size_bytes))
    return row._replace(outcome=Outcome.UNCHANGED)


def _adopt(leg: Leg, path: str) -> Known | None:
    """A regular file that was there before dropslot came is version 1."""
    stored = leg.drop.stored(path)
    if stored is None or not stored.regular:
        return None
    sha256 = leg.drop.digest(path)
    if sha256 is None:
        return None
    leg.adopted.append((path, sha256, stored.size_bytes))
    return Known(1, path, sha256, stored.size_bytes, stored.mtime_ns)


def _is_intact(leg: Leg, version: Known, *, read: bool) -> bool:
    """Whether the stored file still holds the delivered bytes. With `read` it is always read, because `unchanged` must
    be proved; other versions are read only if size or time has changed. If a destination cannot be read back, its
    acknowledgment counts."""
    if not leg.destination.can_be_read:
        return True
    stored = leg.drop.stored(version.stored_as)
    if not read and stored and _looks_the_same(stored, version):
        return True
    found = leg.drop.digest(version.stored_as) if stored and stored.regular else None
    if found == version.sha256:
        return True
    leg.altered.append(
        {"stored_as": version.stored_as, "expected": version.sha256, "found": found or "missing"}
    )
    return False


def _looks_the_same(stored: Stored, version: Known) -> bool:
    same_time = stored.mtime_ns in (None, version.mtime_ns)
    return stored.regular and stored.size_bytes == version.size_bytes and same_time


def _next_free(leg: Leg, row: Row, names: _Names, *, may_be_there: bool = False) -> Row:
    """The row under the first version number whose name is free. With `may_be_there` a name also counts if it holds
    these bytes but is missing from the ledger, so that no second copy is made."""
    version = row.version
    while not _is_free(leg, name := stored_name(row.item, version), row.item, names):
        if may_be_there and version > 1 and _holds(leg, name, row, names):
            return _found_again(leg, row._replace(version=version, stored_as=name))
        version += 1
    return row._replace(version=version, stored_as=name)


def _holds(leg: Leg, name: str, row: Row, names: _Names) -> bool:
    """Whether a name that was given to no arrival holds the item's bytes."""
    stored = leg.drop.stored(name)
    same_size = stored is not None and stored.regular and stored.size_bytes == row.size_bytes
    return same_size and not _is_named(name, row.item, names) and leg.drop.digest(name) == row.sha256


def _is_free(leg: Leg, name: str, item: str, names: _Names) -> bool:
    return not _is_named(name, item, names) and leg.drop.stored(name) is None


def _is_named(name: str, item: str, names: _Names) -> bool:
    """Whether this arrival or the ledger has given a name away."""
    if name in names.given or name in names.others or (name != item and name in names.items):
        return True
    return name != item and is_given(names.place, name, names.arrival)


def stored_name(path: str, version: int) -> str:
    """The path of one version of an item."""
    folder, name = os.path.split(path)
    return os.path.join(folder, versioned(name, version))


def renumber(work: Work, leg: Leg, taken: Iterable[str]) -> dict[str, Row]:
    """Give items whose names were taken since the plan the next number. Returns the new rows by item, and updates the
    leg's rows, manifest and items to publish."""
    lost = set(taken)
    staged_as = {planned.stored_as: planned.path for planned in leg.publish}
    items, given = frozenset(row.item for row in leg.rows), {row.stored_as for row in leg.rows}
    names = _Names(work.id, leg.place, items, given)
    moved: dict[str, Row] = {}
    publish = []
    for row in leg.rows:
        if row.outcome == Outcome.DELIVERED and row.stored_as in lost:
            moved[row.item] = fresh = _next_free(leg, row._replace(version=row.version + 1), names)
            names.given.add(fresh.stored_as)
            publish.append(Planned(staged_as[row.stored_as], fresh.stored_as, fresh.sha256))
    leg.rows = [moved.get(row.item, row) for row in leg.rows]
    leg.publish = publish
    leg.manifest = manifest_of(leg.rows)
    return moved


class Known(NamedTuple):
    """One version of an item that a target has, had, or is about to get (then `finished` is False)."""

    version: int
    stored_as: str
    sha256: str
    size_bytes: int
    mtime_ns: int | None = None  # None: not known
    arrival: str = ""  # empty: from before dropslot
    finished: bool = True
    superseded: bool = False
    dropped_at: datetime = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Shelf:
    """The ledger's knowledge of one target. Without a `place` nothing was ever delivered or adopted there. `versions`
    is by item; `given` maps first names of items to the arrivals that have them."""

    place: Place | None = None
    versions: dict[str, list[Known]] = field(default_factory=lambda: defaultdict(list))
    given: dict[str, str] = field(default_factory=dict)


def shelves(wanted: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Shelf]:
    """The shelves of (url, items), by url. A few queries for each target and thousand items."""
    items: dict[str, dict[str, None]] = defaultdict(dict)
    for url, paths in wanted:
        items[url].update(dict.fromkeys(paths))
    found = {url: Shelf() for url in items}
    for place in Place.objects.filter(url__in=list(items)):
        found[place.url] = _shelf(place, list(items[place.url]))
    return found


def _shelf(place: Place, items: Sequence[str]) -> Shelf:
    shelf = Shelf(place)
    adopted = Adoption.objects.filter(place=place).values_list("stored_as", "sha256", "size_bytes")
    rows = Delivery.objects.filter(place=place, outcome=Outcome.DELIVERED).values_list(
        "item",
        "version",
        "stored_as",
        "sha256",
        "size_bytes",
        "mtime_ns",
        "arrival_id",
        "arrival__state",
        "superseded",
        "arrival__dropped_at",
    )
    for chunk in chunks(items, CHUNK):
        for name, sha256, size in adopted.filter(stored_as__in=chunk):
            shelf.versions[name].append(Known(1, name, sha256, size))
        # A first version has its item's own name. Two queries, because each has an index of its own.
        for row in rows.filter(stored_as__in=chunk):
            shelf.given[row[2]] = row[6]
            _put(shelf, row)
        for row in rows.filter(item__in=chunk, version__gt=1):
            _put(shelf, row)
    return shelf


def _put(shelf: Shelf, row: tuple[Any, ...]) -> None:
    item, version, stored_as, sha256, size, mtime, arrival, state, *drop = row
    if version > 1 or item == stored_as:
        known = Known(version, stored_as, sha256, size, mtime, arrival, state == State.DONE, *drop)
        if known not in shelf.versions[item]:
            shelf.versions[item].append(known)


def is_given(place: Place | None, name: str, besides: str) -> bool:
    """Whether the ledger has given a name to any arrival besides this one."""
    rows = Delivery.objects.filter(place=place, stored_as=name, outcome=Outcome.DELIVERED)
    return rows.exclude(arrival_id=besides).exists()
