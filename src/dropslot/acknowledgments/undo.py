"""Undoing an acknowledgment: an event with its reason, never an erasure."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat
from django.utils import timezone

from dropslot.acknowledgments.fetch_events import acknowledged
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import Entry, append
from dropslot.audit.event_payloads import Unacknowledged
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape


class NotAcknowledged(DropslotError):
    """What was named is neither a valid acknowledgment nor a delivery that has one."""

    code = "not-acknowledged"


def undo(name: str, reason: str, by: str) -> list[Acknowledgment]:
    """Undo one acknowledgment (by the start of its id), or all of a delivery (its destination and stored path as
    history shows them, or its arrival's id where that has one delivery). Raises NotAcknowledged."""
    with transaction.atomic():
        rows = _named(name)
        now = timezone.now()
        for row in rows:
            changed = Acknowledgment.objects.filter(pk=row.pk, undone_at__isnull=True)
            if changed.update(undone_at=now, undone_by=by, undone_because=reason) != 1:
                raise _none(name)
        append([_undone(row, reason, by) for row in rows] + _told_anew(rows[0].delivery))
    return list(rows)


def _told_anew(delivery: Delivery) -> list[Entry]:
    """The trail has the first of several fetches; once it is undone, history shows the next one."""
    standing = Acknowledgment.objects.filter(delivery=delivery, undone_at__isnull=True)
    events = Event.objects.filter(arrival=delivery.arrival_id, kind=Kind.ACKNOWLEDGED)
    row = standing.order_by("at", "id").first()
    if row is None or events.filter(data__contains=row.id).exists():
        return []
    return [acknowledged(row)]


def _named(name: str) -> Sequence[Acknowledgment]:
    standing = Acknowledgment.objects.filter(undone_at__isnull=True).select_related(
        "delivery", "delivery__place", "delivery__arrival"
    )
    rows = list(_by_id(standing, name)[:2])
    if len(rows) > 1:
        raise NotAcknowledged(
            f"Several acknowledgments' ids start with {name!r}",
            next_step="`dropslot acknowledgments` lists them",
        )
    of_delivery = list(_by_delivery(standing, name))
    if rows and of_delivery and rows != of_delivery:
        raise NotAcknowledged(
            f"Both an acknowledgment's id and an arrival's start with {name!r}",
            where="Nothing was changed",
            next_step="Type more of the id",
        )
    rows = rows or of_delivery
    if not rows:
        raise _none(name)
    if len({row.delivery_id for row in rows}) > 1:
        raise NotAcknowledged(
            f"Arrival {name!r} has several deliveries that were acknowledged",
            next_step="Name one: an id of `dropslot acknowledgments`, or DESTINATION/STORED_AS of `dropslot history`",
        )
    return rows


def _by_id(standing: QuerySet[Acknowledgment], name: str) -> QuerySet[Acknowledgment]:
    return standing.filter(id__startswith=name.upper()) if name else standing.none()


def _by_delivery(standing: QuerySet[Acknowledgment], name: str) -> QuerySet[Acknowledgment]:
    stored = Concat(F("delivery__place__url"), Value("/"), F("delivery__stored_as"), output_field=TextField())
    of_arrival = Q(delivery__arrival__id__startswith=name.upper()) if name else Q(pk__in=[])
    return standing.annotate(stored=stored).filter(Q(stored=name) | of_arrival).order_by("id")


def _none(name: str) -> NotAcknowledged:
    return NotAcknowledged(
        f"{escape(name)!r} is neither a valid acknowledgment nor a delivery that has one",
        where="Nothing was changed",
        next_step="`dropslot acknowledgments` lists them",
    )


def _undone(row: Acknowledgment, reason: str, by: str) -> Entry:
    data: Unacknowledged = {
        "acknowledgment": row.id,
        "destination": row.delivery.place.url,
        "stored_as": row.delivery.stored_as,
        "user": row.user,
        "reason": reason,
        "by": by,
    }
    return entry(Kind.UNACKNOWLEDGED, row.delivery.arrival_id, data)
