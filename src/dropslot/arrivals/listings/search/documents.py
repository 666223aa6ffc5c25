"""What the index holds of arrivals, deliveries and events."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from dropslot.arrivals.listings.search.grams import (
    beginnings_of_hash,
    beginnings_of_id,
    days,
    folders,
    number,
    pieces,
)
from dropslot.arrivals.listings.search.index_tables import Document
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.models import Event

ROWS_OF_A_DOCUMENT = 32
SPAN = 64  # of delivery ids in one document, at most
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_CHUNK = 500


def key_of_id(ulid: str) -> int:
    """The first 63 bits of a ULID: its time, and 15 more. In the order of ids; few ids have the same."""
    whole = 0
    for digit in ulid[:13].ljust(13, "0"):
        whole = whole << 5 | _VALUE.get(digit, 0)
    return min(whole, (1 << 63) - 1)


def of_arrivals(ids: Collection[str]) -> tuple[list[Document], list[Document]]:
    """Documents of these arrivals, and of their deliveries."""
    arrivals = {row.id: row for row in Arrival.objects.filter(id__in=ids)}
    common = {row.id: _common(row) for row in arrivals.values()}
    own = [
        Document(
            key_of_id(row.id), row.id, row.id, common[row.id] | {number("state", row.state), *_names(row)}
        )
        for row in arrivals.values()
    ]
    return own, list(_deliveries(arrivals, common))


def _common(row: Arrival) -> set[int]:
    """What an arrival has, and each of its deliveries."""
    found = {number("route", row.route), number("sender", row.sender), *days(row.received_at)}
    found.update(number(f"field:{name}", str(value)) for name, value in row.fields.items())
    found.update(beginnings_of_id(row.id))
    return found


def _names(row: Arrival) -> set[int]:
    return pieces({row.name, row.sender, row.location, *map(_text, row.fields.values())})


def _text(value: Any) -> str:
    """In all the ways in which a database may write it."""
    return (
        value
        if isinstance(value, str)
        else f"{value}\n{json.dumps(value)}\n{value:d}"
        if isinstance(value, bool)
        else f"{value}\n{json.dumps(value)}"
    )


def _deliveries(arrivals: dict[str, Arrival], common: dict[str, set[int]]) -> Iterator[Document]:
    rows = Delivery.objects.filter(arrival_id__in=list(arrivals)).order_by("arrival_id", "id")
    columns = rows.values_list("arrival_id", "id", "item", "stored_as", "sha256", "place__url")
    of = ""
    group: list[tuple[Any, ...]] = []
    shared: set[int] = set()
    for row in columns.iterator(_CHUNK):
        if group and (row[0] != of or len(group) == ROWS_OF_A_DOCUMENT or row[1] - group[0][1] >= SPAN):
            yield _document(group, shared)
            group = []
        if row[0] != of:
            of = row[0]
            shared = common[of] | _names(arrivals[of])
        group.append(row)
    if group:
        yield _document(group, shared)


def _document(group: list[tuple[Any, ...]], shared: set[int]) -> Document:
    texts, paths, hashes = set(), set(), []
    for _, _, item, stored_as, sha256, url in group:
        texts.add(stored_as)
        if item not in stored_as:
            texts.add(item)
        paths.add(f"{url}/{stored_as}".rpartition("/")[0])
        hashes.append(sha256)
    found = shared | pieces(texts)
    for sha256 in hashes:
        found.update(beginnings_of_hash(sha256))
    for path in paths:
        found.update(folders(f"{path}/"))
    return Document(group[-1][1], group[0][1], group[-1][1], found)


def of_events(events: Iterable[Event], routes: dict[str, str]) -> set[int]:
    """What some events have. `routes`: by the arrival's id."""
    found: set[int] = set()
    for event in events:
        found |= pieces((event.kind, event.arrival, event.data))
        found |= {number("kind", event.kind), number("arrival", event.arrival)}
        found.add(number("route", routes.get(event.arrival, "")))
        found.update(number("at", event.at[:length]) for length in (10, 7, 4, 3, 2))
    return found
