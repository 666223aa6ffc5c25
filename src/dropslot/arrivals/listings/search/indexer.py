"""Keeps the index up: a reader of the trail, which is the outbox. Deliveries never wait for it; it may lag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from dropslot.arrivals.listings.search import documents
from dropslot.arrivals.listings.search.index_tables import ALL, ARRIVALS, DELIVERIES, EVENTS, Document
from dropslot.arrivals.models import Arrival
from dropslot.audit import outbox
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, EventReader

READER = "search"
# What ends an arrival's way: until then it is compared without the index.
KINDS = (Kind.DELIVERED, Kind.REFUSED, Kind.DISMISSED, Kind.REBUILT)
EVENTS_OF_A_BLOCK = 32
_UNIMPORTANT = 1000  # so many events of other kinds may be ahead before the position moves for them alone


def begin() -> None:
    """From now on this database has an index, of everything that is in the trail."""
    EventReader.objects.get_or_create(name=READER, defaults={"seq": 0})


def has_begun() -> bool:
    """Whether searches may rely on the index."""
    return is_possible() and EventReader.objects.filter(name=READER).exists()


def is_possible() -> bool:
    """Whether this database can have an index: a SQLite without FTS5 cannot."""
    return all(table.is_there() for table in ALL)


def catch_up(at_most: int = 200) -> int:
    """Take in the next events; returns how many there were. 0: the index has everything. Documents are made before the
    transaction, so that others do not wait for it. After a crash the same events come again."""
    return _take_arrivals(at_most) + _take_events(at_most)


def unread_arrivals() -> QuerySet[Any]:
    """Ids of the arrivals that the index may lack, as a subquery."""
    return outbox.unread(READER, KINDS).order_by().values("arrival")


def _take_arrivals(at_most: int) -> int:
    ahead = list(outbox.unread(READER, KINDS).values_list("arrival", flat=True)[:at_most])
    if not ahead and not _is_far_behind():
        return 0
    arrivals, deliveries = documents.of_arrivals(set(ahead))

    def put(events: Sequence[Event]) -> None:
        missing = {event.arrival for event in events}.difference(ahead)  # somebody else has read the others
        more = documents.of_arrivals(missing) if missing else ([], [])
        ARRIVALS.put(arrivals + more[0])
        DELIVERIES.put(deliveries + more[1])

    return outbox.read(READER, put, kinds=KINDS, at_most=at_most)


def _is_far_behind() -> bool:
    position = EventReader.objects.filter(name=READER).values_list("seq", flat=True).first()
    newest = Event.objects.order_by("-seq").values_list("seq", flat=True).first()
    return position is not None and newest is not None and newest - position > _UNIMPORTANT


def _take_events(at_most: int) -> int:
    """Whole blocks alone: what follows them is compared without the index."""
    first = end_of_events()
    count = max(at_most // EVENTS_OF_A_BLOCK, 1) * EVENTS_OF_A_BLOCK
    events = list(Event.objects.filter(seq__gte=first, seq__lt=first + count).order_by("seq"))
    whole = [event for event in events if event.seq < end_of_block(events[-1].seq + 1) - EVENTS_OF_A_BLOCK]
    found = list(_of_blocks(whole))
    with transaction.atomic():
        # Another process may have put them meanwhile.
        EventReader.objects.filter(name=READER).update(seq=F("seq"))
        done = EVENTS.highest()
        EVENTS.put([each for each in found if each.key > done])
    return len(whole)


def end_of_events() -> int:
    """The first event that the index lacks."""
    return end_of_block(EVENTS.highest())


def end_of_block(seq: int) -> int:
    """The first event after the block of this one."""
    return (seq // EVENTS_OF_A_BLOCK + 1) * EVENTS_OF_A_BLOCK


def _of_blocks(events: Sequence[Event]) -> Iterator[Document]:
    """A document for each route of each block: what is looked for on one route is not found by the words of another."""
    ids = {event.arrival for event in events}
    routes = dict(Arrival.objects.filter(id__in=ids).values_list("id", "route"))
    for _, block in groupby(events, lambda event: end_of_block(event.seq)):
        of_routes: dict[str, list[Event]] = {}
        for event in block:
            of_routes.setdefault(routes.get(event.arrival, ""), []).append(event)
        for rows in of_routes.values():
            yield Document(rows[-1].seq, rows[0].seq, rows[-1].seq, documents.of_events(rows, routes))
