"""What was found in a block of a log becomes rows and events, in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from django.utils import timezone
from ulid import ULID

from dropslot.acknowledgments import judging
from dropslot.acknowledgments.finding import Hit, Wanted
from dropslot.acknowledgments.judging import Rights, Span
from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.models import Acknowledgment, PartialFetch
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import Entry, append, timestamp
from dropslot.core.names import escape


class Access(NamedTuple):
    """Fetches that acknowledge nothing, told as one event: the same file by the same user for the same reason."""

    delivery: Delivery
    user: str
    address: str
    because: str


@dataclass(slots=True)
class _Found:
    """What one block led to."""

    made: list[Acknowledgment] = field(default_factory=list)
    accesses: Counter[Access] = field(default_factory=Counter)
    last: dict[Access, datetime] = field(default_factory=dict)
    partial: dict[tuple[int, str], PartialFetch] = field(default_factory=dict)
    touched: set[tuple[int, str]] = field(default_factory=set)


class Recorded(NamedTuple):
    """How many acknowledgments and how many other accesses were recorded."""

    acknowledged: int
    accesses: int


class Recorder:
    """Records for one log of one route."""

    def __init__(self, log: str, rights: Rights, users_field: str) -> None:
        self._log, self._rights, self._field = log, rights, users_field

    def record(self, hits: Sequence[Hit]) -> Recorded:
        """Write what these lines mean. Rows first, the chain last; call it once in a transaction."""
        if not hits:
            return Recorded(0, 0)
        found = _Found(partial=_partial_fetches(hits))
        for hit in hits:
            together = sum(delivery.size_bytes for delivery, _ in hit.deliveries)
            for delivery, wanted in hit.deliveries:
                self._judge(found, hit, delivery, wanted, together)
        return self._write(found, {delivery.id: delivery for hit in hits for delivery, _ in hit.deliveries})

    def _judge(
        self, found: _Found, hit: Hit, delivery: Delivery, wanted: Wanted, together_bytes: int
    ) -> None:
        request = hit.request
        span = judging.span_of(request, delivery.size_bytes, wanted.among, together_bytes)
        if span is None:
            return
        if because := self._why_not(request, delivery, wanted):
            access = Access(delivery, request.user, request.address, because)
            found.accesses[access] += 1
            found.last[access] = max(request.at, found.last.get(access, request.at))
        elif evidence := _evidence(found, delivery, request, span):
            found.made.append(self._acknowledgment(hit, delivery, evidence))

    def _why_not(self, request: Request, delivery: Delivery, wanted: Wanted) -> str:
        """Why this fetch acknowledges nothing; empty when it does."""
        if judging.is_bot(request.agent):
            return "bot"
        if request.at < delivery.arrival.received_at - judging.SKEW:
            return "before it was received"
        folder = wanted.values.get(self._field) or delivery.arrival.fields.get(self._field)
        return "" if self._rights.may(request.user, folder) else "not a user of this folder"

    def _acknowledgment(self, hit: Hit, delivery: Delivery, evidence: str) -> Acknowledgment:
        return Acknowledgment(
            id=str(ULID()),
            delivery=delivery,
            user=escape(hit.request.user),
            address=escape(hit.request.address),
            at=hit.request.at,
            evidence=evidence,
            log=self._log,
            line=hit.line,
            recorded_at=timezone.now(),
        )

    def _write(self, found: _Found, deliveries: Mapping[int, Delivery]) -> Recorded:
        standing = _standing({row.delivery_id for row in found.made})
        firsts: dict[int, Acknowledgment] = {}
        for row in found.made:
            if row.delivery_id not in standing:
                firsts.setdefault(row.delivery_id, row)
        Acknowledgment.objects.bulk_create(found.made, batch_size=500)
        _save_partial(found)
        events = [_acknowledged(row, deliveries[row.delivery_id]) for row in firsts.values()]
        events += [
            self._accessed(access, count, found.last[access]) for access, count in found.accesses.items()
        ]
        append(events)
        return Recorded(len(found.made), sum(found.accesses.values()))

    def _accessed(self, access: Access, count: int, last: datetime) -> Entry:
        data = _about(access.delivery) | {
            "user": escape(access.user),
            "address": escape(access.address),
            "because": access.because,
            "count": count,
            "last_at": timestamp(last),
            "log": escape(self._log),
        }
        return Entry("accessed", access.delivery.arrival_id, data)


def _evidence(found: _Found, delivery: Delivery, request: Request, span: Span) -> str:
    """What shows that all of the delivery was fetched; empty while a part is missing."""
    if span.known and span.size_bytes >= delivery.size_bytes:
        return "whole"
    key = (delivery.id, escape(request.user))
    row = found.partial.get(key)
    if row is None or abs(request.at - row.last_at) > judging.TOGETHER:
        row = PartialFetch(
            id=row.id if row else None,
            delivery=delivery,
            user=key[1],
            first_at=request.at,
            last_at=request.at,
        )
        found.partial[key] = row
    found.touched.add(key)
    row.last_at = max(row.last_at, request.at)
    if span.known:
        row.spans = judging.merged(row.spans, span)
    else:
        row.sum_bytes += span.size_bytes
    return _covered(row, delivery.size_bytes)


def _covered(row: PartialFetch, size_bytes: int) -> str:
    evidence = "ranges" if judging.covers(row.spans, size_bytes) else ""
    if not evidence and row.sum_bytes >= size_bytes:
        evidence = "sum"
    if evidence:
        row.spans, row.sum_bytes = [], 0  # the next range begins another fetch
    return evidence


def _partial_fetches(hits: Sequence[Hit]) -> dict[tuple[int, str], PartialFetch]:
    wanted = {
        (delivery.id, escape(hit.request.user))
        for hit in hits
        for delivery, _ in hit.deliveries
        if hit.request.status == 206 or judging.body_bytes(hit.request) < delivery.size_bytes
    }
    ids = sorted({delivery for delivery, _ in wanted})
    rows = (
        row
        for start in range(0, len(ids), 500)
        for row in PartialFetch.objects.filter(delivery_id__in=ids[start : start + 500])
    )
    return {(row.delivery_id, row.user): row for row in rows if (row.delivery_id, row.user) in wanted}


def _save_partial(found: _Found) -> None:
    for key in sorted(found.touched):
        row = found.partial[key]
        if row.spans or row.sum_bytes:
            row.save()
        elif row.pk:
            row.delete()


def _standing(deliveries: set[int]) -> set[int]:
    ids, found = sorted(deliveries), set()
    for start in range(0, len(ids), 500):
        rows = Acknowledgment.objects.filter(delivery_id__in=ids[start : start + 500], undone_at__isnull=True)
        found |= set(rows.values_list("delivery_id", flat=True))
    return found


def _acknowledged(row: Acknowledgment, delivery: Delivery) -> Entry:
    data = _about(delivery) | {
        "acknowledgment": row.id,
        "user": row.user,
        "address": row.address,
        "at": timestamp(row.at),
        "evidence": row.evidence,
        "log": escape(row.log),
        "line_sha256": sha256(row.line).hexdigest(),
    }
    return Entry("acknowledged", delivery.arrival_id, data)


def _about(delivery: Delivery) -> dict[str, object]:
    return {
        "destination": delivery.place.url,
        "stored_as": delivery.stored_as,
        "version": delivery.version,
        "sha256": delivery.sha256,
    }
