"""The acknowledgments that `history` shows, and the deliveries that nobody acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, QuerySet

from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.listings.queries import iso
from dropslot.arrivals.models import Delivery
from dropslot.core.states import Outcome
from dropslot.core.templates import Template


class First(NamedTuple):
    """The earliest fetch that was not undone."""

    at: str | None
    user: str


class AcknowledgedColumns:
    """Who fetched a delivery first, and when."""

    names: tuple[str, ...] = ("acknowledged_at", "acknowledged_by")

    def of(self, rows: Sequence[Delivery]) -> dict[int, First]:
        """The first acknowledgment of each delivery, by its id. An `unchanged` item has that of the file which was
        there already."""
        stored = {row.id: row.id for row in rows} | _delivered_before(rows)
        found = _firsts(sorted(set(stored.values())))
        return {row: found[original] for row, original in stored.items() if original in found}


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """Narrows `history` to deliveries that nobody acknowledged, finished before a time. `places`: for each route, the
    destinations whose logs are read."""

    places: Mapping[str, Sequence[Template]]
    before: datetime | None = None

    def narrow(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Only deliveries (not `unchanged`) whose acknowledgments were all undone, or that have none."""
        standing = Acknowledgment.objects.filter(delivery=OuterRef("pk"), undone_at__isnull=True)
        rows = rows.filter(~Exists(standing), outcome=Outcome.DELIVERED, arrival__route__in=list(self.places))
        return rows.filter(arrival__finished_at__lt=self.before) if self.before else rows

    def keeps(self, row: Delivery) -> bool:
        """Whether a delivery went to one of the places."""
        return any(to.match(row.place.url) is not None for to in self.places[row.arrival.route])


def _firsts(ids: Sequence[int]) -> dict[int, First]:
    found: dict[int, First] = {}
    standing = Acknowledgment.objects.filter(delivery_id__in=ids, undone_at__isnull=True)
    for delivery, at, user in (
        standing.order_by("at", "id").values_list("delivery_id", "at", "user").iterator()
    ):
        found.setdefault(delivery, First(iso(at), user))
    return found


def _delivered_before(rows: Sequence[Delivery]) -> dict[int, int]:
    """The delivery with the same content, by the id of the unchanged row."""
    unchanged = {(row.place_id, row.stored_as): row.id for row in rows if row.outcome == Outcome.UNCHANGED}
    if not unchanged:
        return {}
    delivered = Delivery.objects.filter(
        outcome=Outcome.DELIVERED,
        place_id__in={place for place, _ in unchanged},
        stored_as__in={name for _, name in unchanged},
    )
    originals = {
        (place, name): pk for pk, place, name in delivered.values_list("id", "place_id", "stored_as")
    }
    return {
        row.id: originals[(row.place_id, row.stored_as)]
        for row in rows
        if row.outcome == Outcome.UNCHANGED and (row.place_id, row.stored_as) in originals
    }
