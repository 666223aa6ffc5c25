"""The parts of a delivery that one user has fetched, until they cover all of it."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.matching import judging
from dropslot.acknowledgments.matching.delivery_finder import Hit
from dropslot.acknowledgments.matching.judging import Span
from dropslot.acknowledgments.models import PartialFetch
from dropslot.arrivals.models import Delivery
from dropslot.core.names import escape

_AT_ONCE = 500  # ids in one query
Key = tuple[int, str]  # a delivery's id, and a user


class Fetches:
    """Earlier fetches of some lines' deliveries, and what these lines add; for one transaction."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._rows = _known(hits)
        self._touched: set[Key] = set()

    def evidence(self, delivery: Delivery, request: Request, span: Span) -> str:
        """What shows that all of the delivery was fetched (`whole`, `ranges`, `sum`); empty while a part is missing."""
        if span.known and span.size_bytes >= delivery.size_bytes:
            return "whole"
        row = self._row(delivery, request)
        row.last_at = max(row.last_at, request.at)
        if span.known:
            row.spans = judging.merged(row.spans, span)
        else:
            row.sum_bytes += span.size_bytes
        return _covered(row, delivery.size_bytes)

    def save(self) -> None:
        """Save the parts; forget those that have become complete."""
        for key in sorted(self._touched):
            row = self._rows[key]
            if row.spans or row.sum_bytes:
                row.save()
            elif row.pk:
                row.delete()

    def _row(self, delivery: Delivery, request: Request) -> PartialFetch:
        key = (delivery.id, escape(request.user))
        self._touched.add(key)
        row = self._rows.get(key)
        if row is None or abs(request.at - row.last_at) > judging.TOGETHER:
            row = PartialFetch(
                id=row.id if row else None,
                delivery=delivery,
                user=key[1],
                first_at=request.at,
                last_at=request.at,
            )
            self._rows[key] = row
        return row


def _covered(row: PartialFetch, size_bytes: int) -> str:
    evidence = "ranges" if judging.covers(row.spans, size_bytes) else ""
    if not evidence and row.sum_bytes >= size_bytes:
        evidence = "sum"
    if evidence:
        row.spans, row.sum_bytes = [], 0  # the next range begins another fetch
    return evidence


def _known(hits: Sequence[Hit]) -> dict[Key, PartialFetch]:
    wanted = {
        (delivery.id, escape(hit.request.user))
        for hit in hits
        for delivery, _ in hit.deliveries
        if hit.request.status == 206 or judging.body_bytes(hit.request) < delivery.size_bytes
    }
    ids = sorted({delivery for delivery, _ in wanted})
    rows = (
        row
        for start in range(0, len(ids), _AT_ONCE)
        for row in PartialFetch.objects.filter(delivery_id__in=ids[start : start + _AT_ONCE])
    )
    return {(row.delivery_id, row.user): row for row in rows if (row.delivery_id, row.user) in wanted}
