"""What the database knows of targets: the versions of each item, and the names in use. Read once for a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.core.states import Outcome, State

CHUNK = 1000
T = TypeVar("T")


class Known(NamedTuple):
    """One version of an item that a target has, had, or is about to get (`finished` is False then)."""

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
    """One target; without a `place` nothing was ever delivered or adopted there. `versions` by item; `given` maps
    first names of items to the arrivals that have them."""

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
        # A first version is stored as its item is called; each of the two queries has an index of its own.
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


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
