"""The event table as an outbox: named readers get each event once, in order, each at its own speed.

A reader is a row with the `seq` that it has read up to, moved in the transaction of its effect: both stand, or
neither. Writers take turns until their commit (`chain`). So when an event can be read, all events before it can be
read, too, and no late commit is skipped, on PostgreSQL too. An effect outside of the database (a mail, an HTTP
request) cannot be undone with the transaction: write down there what is to be done, and do it afterwards, as `after`
calls are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet, Subquery

from dropslot.audit import chain
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, EventReader

BATCH = 500
Effect = Callable[[Sequence[Event]], None]


def begin(reader: str, *, using: str = "default") -> None:
    """From now on `reader` gets new events; an existing reader continues where it is."""
    start = {"seq": chain.head(using=using).seq}
    EventReader.objects.using(using).get_or_create(name=reader, defaults=start)


def end(reader: str, *, using: str = "default") -> None:
    """Forget `reader` and its position; does nothing when there is none."""
    EventReader.objects.using(using).filter(name=reader).delete()


def read(
    reader: str, effect: Effect, *, kinds: Collection[Kind], at_most: int = BATCH, using: str = "default"
) -> int:
    """Give `effect` the next events of these kinds, in order, `at_most` in one call; returns how many there were.

    0: it has read all, or was never begun. Processes with the same reader take turns. If `effect` raises, the
    exception is passed on, and the same events come again.
    """
    if not is_behind(reader, using=using):
        return 0
    with transaction.atomic(using=using):
        row = EventReader.objects.using(using).filter(name=reader)
        # A write first: it waits for the turn, and on SQLite takes the write lock before anything is read.
        if not row.update(seq=F("seq")):
            return 0
        end_of_trail = chain.head(using=using).seq
        events = list(unread(reader, kinds, using=using).filter(seq__lte=end_of_trail)[:at_most])
        if events:
            effect(events)
        row.update(seq=events[-1].seq if len(events) == at_most else end_of_trail)
    return len(events)


class Seen(NamedTuple):
    """What an event says, without its hash: half the cost of a model's object, where there are many."""

    seq: int
    at: str
    kind: str
    arrival: str
    data: str


class Ahead(NamedTuple):
    """Events that were looked at before a reader takes them: from its position `begin` on, up to `end`."""

    begin: int
    end: int
    events: Sequence[Seen]


def look_ahead(
    reader: str, kinds: Collection[Kind], *, at_most: int = BATCH, using: str = "default"
) -> Ahead | None:
    """The next events, without any lock: what they mean may be found out at leisure, while writers go on. None: it has
    read all, or was never begun."""
    if not is_behind(reader, using=using):
        return None
    position = EventReader.objects.using(using).filter(name=reader).values_list("seq", flat=True).first()
    if position is None:
        return None
    head = chain.head(using=using).seq
    found = Event.objects.using(using).filter(seq__gt=position, seq__lte=head, kind__in=list(kinds))
    rows = found.order_by("seq").values_list("seq", "at", "kind", "arrival", "data")
    events = [Seen(*row) for row in rows[:at_most]]
    return Ahead(position, events[-1].seq if len(events) == at_most else head, events)


def take(reader: str, ahead: Ahead, *, using: str = "default") -> bool:
    """Move the reader to the end of what was looked at, first in the transaction of the effect. False: another process
    has moved it meanwhile, and has the effect too."""
    row = EventReader.objects.using(using).filter(name=reader, seq=ahead.begin)
    return row.update(seq=ahead.end) == 1


def unread(reader: str, kinds: Collection[Kind], *, using: str = "default") -> QuerySet[Event]:
    """The events of these kinds that `reader` has not read yet, in order; none when it was never begun."""
    position = EventReader.objects.using(using).filter(name=reader).values("seq")
    found = Event.objects.using(using).filter(seq__gt=Subquery(position), kind__in=list(kinds))
    return found.order_by("seq")


def is_behind(reader: str, *, using: str = "default") -> bool:
    """Whether there is any event that it has not read; without a lock."""
    newest = Event.objects.using(using).order_by("-seq").values("seq")[:1]
    return EventReader.objects.using(using).filter(name=reader, seq__lt=Subquery(newest)).exists()
