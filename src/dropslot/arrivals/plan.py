"""Names and versions: what each item is to be called at a target, and which are there already.

Looking (which may hash what is stored) happens before the transaction, inserting within it; the unique
constraint on (place, stored_as) decides between two arrivals that planned the same name.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.arrivals.work import Leg, Row, Work
from dropslot.checks.bag import PAYLOAD
from dropslot.core import manifests
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape, versioned
from dropslot.core.states import Outcome, State
from dropslot.destinations.base import Planned, Staged

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """One version of an item that a target has, or had."""

    version: int
    stored_as: str
    sha256: str
    size_bytes: int
    mtime_ns: int | None  # None: not known


@dataclass(slots=True)
class _Names:
    """Names that this plan may not use: those of the arrival's other items, and those it has given out."""

    items: frozenset[str]
    given: set[str]
    reserved: set[str]  # first names of a chunk that the ledger has given to something else


def plan(work: Work, leg: Leg) -> None:
    """Fill in the leg's rows, what is to be published, and its manifest.

    Raises NameInFlight when another unfinished arrival has reserved one of the names.
    """
    # Made with the intent: a commit of its own would wait here for the sync of the data.
    leg.place = Place.objects.filter(url=leg.target.url).first()
    leg.adopted, leg.altered = [], []
    payload = payload_of(work, leg.staged)
    earlier = published_before(work, leg)
    rows = (
        _fresh(payload) if leg.drop.is_new() and not _has_rows(leg) else _beside(work, leg, payload, earlier)
    )
    leg.rows = rows
    staged_as = {path: item.path for path, item in payload} if work.bag else None
    leg.publish = [
        Planned(staged_as[row.item] if staged_as else row.item, row.stored_as, row.sha256)
        for row in rows
        if row.outcome == Outcome.DELIVERED and row.item not in earlier
    ]
    leg.manifest = manifest_of(rows)


def manifest_of(rows: Iterable[Row]) -> str:
    """All of the arrival, in sha256sum's format."""
    return manifests.write((row.sha256, row.stored_as) for row in rows)


def payload_of(work: Work, staged: Sequence[Staged]) -> list[tuple[str, Staged]]:
    """(path under which it is published, item): all of it, or the payload of a bag."""
    if work.bag is None:
        return [(item.path, item) for item in staged]
    return [(item.path.removeprefix(PAYLOAD), item) for item in staged if item.path.startswith(PAYLOAD)]


def published_before(work: Work, leg: Leg) -> dict[str, Known]:
    """What an earlier attempt of this very arrival published already, by item: its row is kept, its file stays."""
    if not work.committed:
        return {}
    mine = Delivery.objects.filter(arrival_id=work.id, place=leg.place, outcome=Outcome.DELIVERED)
    return {
        row.item: Known(row.version, row.stored_as, row.sha256, row.size_bytes, row.mtime_ns)
        for row in mine.iterator()
        if leg.drop.digest(row.stored_as) == row.sha256
    }


def _has_rows(leg: Leg) -> bool:
    if leg.place is None:
        return False
    return (
        Delivery.objects.filter(place=leg.place).exists() or Adoption.objects.filter(place=leg.place).exists()
    )


def _fresh(payload: Sequence[tuple[str, Staged]]) -> list[Row]:
    """A target that is new holds nothing: every item is version 1 under its own name."""
    return [
        Row(path, path, 1, Outcome.DELIVERED, False, item.sha256, item.size_bytes, item.mtime_ns)
        for path, item in payload
    ]


def _beside(
    work: Work, leg: Leg, payload: Sequence[tuple[str, Staged]], earlier: dict[str, Known]
) -> list[Row]:
    """Rows for a target that holds something already."""
    names = _Names(frozenset(path for path, _ in payload), set(), set())
    rows: list[Row] = []
    for chunk in _chunks(payload, CHUNK):
        paths = [path for path, _ in chunk]
        known = _known(work, leg, paths)
        names.reserved = _reserved(work, leg, paths)
        for path, item in chunk:
            row = (
                _kept(path, item, earlier[path])
                if path in earlier
                else _row(leg, path, item, known.get(path, []), names)
            )
            names.given.add(row.stored_as)
            rows.append(row)
    return rows


def _kept(path: str, item: Staged, had: Known) -> Row:
    # What is recorded is what was delivered, even if the source were different by now.
    return Row(
        path, had.stored_as, had.version, Outcome.DELIVERED, False, had.sha256, had.size_bytes, item.mtime_ns
    )


def _known(work: Work, leg: Leg, paths: Sequence[str]) -> dict[str, list[Known]]:
    """The versions of each path that other arrivals delivered, or that were there before dropslot came."""
    known: dict[str, list[Known]] = defaultdict(list)
    for found in Adoption.objects.filter(place=leg.place, stored_as__in=paths):
        known[found.stored_as].append(Known(1, found.stored_as, found.sha256, found.size_bytes, None))
    rows = Delivery.objects.filter(place=leg.place, item__in=paths, outcome=Outcome.DELIVERED).exclude(
        arrival_id=work.id
    )
    for row in rows.select_related("arrival").defer(
        "arrival__reason", "arrival__evidence", "arrival__intent"
    ):
        if row.arrival.state != State.DONE:
            raise in_flight(row.item, row.arrival_id)
        known[row.item].append(Known(row.version, row.stored_as, row.sha256, row.size_bytes, row.mtime_ns))
    return known


def in_flight(item: str, arrival: str) -> NameInFlight:
    """Two arrivals want one name at once."""
    return NameInFlight(
        f"{escape(item)} is just being delivered by arrival {arrival}",
        next_step="This one follows when that is done",
    )


def _reserved(work: Work, leg: Leg, paths: Sequence[str]) -> set[str]:
    rows = Delivery.objects.filter(place=leg.place, stored_as__in=paths, outcome=Outcome.DELIVERED)
    return set(rows.exclude(arrival_id=work.id).values_list("stored_as", flat=True))


def _row(leg: Leg, path: str, item: Staged, known: list[Known], names: _Names) -> Row:
    sha256 = item.sha256
    if not known and (adopted := _adopt(leg, path)) is not None:
        known = [adopted]
    newest = max((version.version for version in known), default=0)
    same = None
    for version in sorted(known, key=lambda version: version.version):
        if _is_intact(leg, version, read=version.sha256 == sha256) and version.sha256 == sha256:
            same = version
    if same is not None:
        superseded = same.version != newest
        size, mtime = item.size_bytes, item.mtime_ns
        return Row(path, same.stored_as, same.version, Outcome.UNCHANGED, superseded, sha256, size, mtime)
    row = Row(path, path, newest + 1, Outcome.DELIVERED, False, sha256, item.size_bytes, item.mtime_ns)
    return _next_free(leg, row, names)


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
    """Whether the stored file still holds what was delivered. `unchanged` is said only of what was `read` just now;
    for other versions size and time must show a change before the file is read."""
    stored = leg.drop.stored(version.stored_as)
    seen = (stored.regular, stored.size_bytes, stored.mtime_ns) if stored else None
    if not read and seen == (True, version.size_bytes, version.mtime_ns):
        return True
    found = leg.drop.digest(version.stored_as) if stored and stored.regular else None
    if found == version.sha256:
        return True
    leg.altered.append(
        {"stored_as": version.stored_as, "expected": version.sha256, "found": found or "missing"}
    )
    return False


def _next_free(leg: Leg, row: Row, names: _Names) -> Row:
    """The row under the first version number whose name nothing has."""
    version = row.version
    while not _is_free(leg, name := stored_name(row.item, version), row.item, names):
        version += 1
    return row._replace(version=version, stored_as=name)


def _is_free(leg: Leg, name: str, item: str, names: _Names) -> bool:
    if name in names.given or name in names.reserved or (name != item and name in names.items):
        return False
    if (
        name != item
        and Delivery.objects.filter(place=leg.place, stored_as=name, outcome=Outcome.DELIVERED).exists()
    ):
        return False
    return leg.drop.stored(name) is None


def stored_name(path: str, version: int) -> str:
    """The path of one version of an item."""
    folder, name = os.path.split(path)
    return os.path.join(folder, versioned(name, version))


def renumber(leg: Leg, taken: Iterable[str]) -> dict[str, Row]:
    """Names that somebody took since the plan was made get the next number. Returns the new rows by item; the leg's
    rows, manifest and what is left to publish follow."""
    lost = set(taken)
    staged_as = {planned.stored_as: planned.path for planned in leg.publish}
    names = _Names(frozenset(row.item for row in leg.rows), {row.stored_as for row in leg.rows}, set())
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


def _chunks(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
