"""Arrivals that wait for room, and when they go on. What each waits for is in its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

from django.db.models import QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.models import Arrival
from dropslot.core.states import State

NO_ROOM = "no_room"  # key in the evidence: what the last attempt had no room for


class Lack(TypedDict):
    """What an arrival needs of one space, by the space's id."""

    space: str
    bytes: int
    files: int


class Waits(NamedTuple):
    """How many arrivals wait for one space, and how much they need together."""

    arrivals: int = 0
    bytes: int = 0


class Room(NamedTuple):
    """How much an arrival may still use of one space; None: as much as it wants."""

    bytes: int | None
    files: int | None

    def holds(self, size: int, files: int) -> bool:
        """Whether so much fits."""
        return (self.bytes is None or size <= self.bytes) and (self.files is None or files <= self.files)

    def without(self, size: int, files: int) -> Room:
        """What is left when so much is used."""
        return Room(
            None if self.bytes is None else self.bytes - size,
            None if self.files is None else self.files - files,
        )


def _waiting() -> QuerySet[Arrival]:
    return Arrival.objects.filter(state=State.RETRYING, evidence__has_key=NO_ROOM)


def is_any() -> bool:
    """Whether any arrival waits for room."""
    return _waiting().exists()


def waits() -> dict[str, Waits]:
    """By the id of a space."""
    found: dict[str, Waits] = {}
    for evidence in _waiting().values_list("evidence", flat=True):
        for lack in lacks_of(evidence):
            before = found.get(lack["space"], Waits())
            found[lack["space"]] = Waits(before.arrivals + 1, before.bytes + lack["bytes"])
    return found


def lacks_of(evidence: Mapping[str, Any]) -> Iterable[Lack]:
    """What the last attempt had no room for."""
    found: Iterable[Lack] = evidence.get(NO_ROOM, ())
    return found


def wake(rooms: Mapping[str, Room]) -> list[str]:
    """Let those go on for which there is room now, the one that was dropped first before the others, and no more than
    fit together. Returns their ids."""
    found = list(_fitting(dict(rooms)))
    if found:
        _waiting().filter(id__in=found, due_at__gt=Now()).update(due_at=Now())
    return found


def _fitting(rooms: dict[str, Room]) -> Iterator[str]:
    rows = _waiting().filter(due_at__gt=Now()).order_by("dropped_at", "id")
    for number, evidence in rows.values_list("id", "evidence"):
        lacks = list(lacks_of(evidence))
        # What this machine does not see is left to the next attempt.
        if all(
            lack["space"] in rooms and rooms[lack["space"]].holds(lack["bytes"], lack["files"])
            for lack in lacks
        ):
            for lack in lacks:
                rooms[lack["space"]] = rooms[lack["space"]].without(lack["bytes"], lack["files"])
            yield number
