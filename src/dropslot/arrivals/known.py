"""What the ledger knows of targets: the versions of each item, and the names that are given. Read once for a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

from django.db.models import QuerySet

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


@dataclass(slots=True)
class Shelf:
    """One target. `versions` by item; `given` maps first names of items to the arrivals that have them."""

    place: Place | None = None
    is_empty: bool = True  # nothing was ever delivered or adopted there
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
    rows, adopted = Delivery.objects.filter(place=place), Adoption.objects.filter(place=place)
    shelf = Shelf(place, is_empty=not (rows.exists() or adopted.exists()))
    if not shelf.is_empty:
        for chunk in chunks(items, CHUNK):
            _fill(shelf, rows.filter(outcome=Outcome.DELIVERED), adopted, chunk)
    return shelf


def _fill(shelf: Shelf, rows: QuerySet[Delivery], adopted: QuerySet[Adoption], items: Sequence[str]) -> None:
    for name, sha256, size in adopted.filter(stored_as__in=items).values_list(
        "stored_as", "sha256", "size_bytes"
    ):
        shelf.versions[name].append(Known(1, name, sha256, size))
    delivered = rows.filter(item__in=items).values_list(
        "item", "version", "stored_as", "sha256", "size_bytes", "mtime_ns", "arrival_id", "arrival__state"
    )
    for item, version, stored_as, sha256, size, mtime, arrival, state in delivered:
        known = Known(version, stored_as, sha256, size, mtime, arrival, state == State.DONE)
        shelf.versions[item].append(known)
    shelf.given.update(rows.filter(stored_as__in=items).values_list("stored_as", "arrival_id"))


def is_given(place: Place | None, name: str, besides: str) -> bool:
    """Whether the ledger has given a name to any arrival besides this one."""
    rows = Delivery.objects.filter(place=place, stored_as=name, outcome=Outcome.DELIVERED)
    return rows.exclude(arrival_id=besides).exists()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
