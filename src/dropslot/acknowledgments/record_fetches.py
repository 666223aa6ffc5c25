"""Writes the findings of a batch as rows and events, in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Sum
from django.utils import timezone
from ulid import ULID

from dropslot.acknowledgments import fetch_events
from dropslot.acknowledgments.fetch_events import Access
from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.matching import judging
from dropslot.acknowledgments.matching.delivery_finder import Hit, Packed, Wanted
from dropslot.acknowledgments.matching.judging import Rights
from dropslot.acknowledgments.matching.partial import Fetches
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import append
from dropslot.core.names import escape

_AT_ONCE = 500  # rows of one query


@dataclass(slots=True)
class _Found:
    """What one batch led to."""

    fetches: Fetches
    made: list[Acknowledgment] = field(default_factory=list)
    accesses: Counter[Access] = field(default_factory=Counter)
    last: dict[Access, datetime] = field(default_factory=dict)
    packed: set[int] = field(default_factory=set)  # deliveries that were acknowledged within a folder


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
        found = _Found(Fetches(hits))
        for hit in hits:
            together = sum(delivery.size_bytes for delivery, _ in hit.deliveries)
            for delivery, wanted in hit.deliveries:
                self._judge(found, hit, delivery, wanted, together)
            for packed in hit.packed:
                self._judge_packed(found, hit, packed)
        return self._write(found)

    def _judge(
        self, found: _Found, hit: Hit, delivery: Delivery, wanted: Wanted, together_bytes: int
    ) -> None:
        request = hit.request
        span = judging.span_of(request, delivery.size_bytes, wanted.among, together_bytes)
        if span is None and not judging.may_hold_some(request):
            return
        # For others, a fetch of a part is an access, too, even if the range is unknown.
        if because := self._why_not(request, delivery, wanted):
            self._note_access(found, request, Access(delivery, request.user, request.address, because))
        elif span and (evidence := found.fetches.evidence(delivery, request, span)):
            found.made.append(self._acknowledgment(hit, delivery, evidence))

    def _judge_packed(self, found: _Found, hit: Hit, packed: Packed) -> None:
        """A delivery is not acknowledged twice; fetches by others are one event."""
        together = packed.rows.aggregate(bytes=Sum("size_bytes"))["bytes"] or 0
        if not judging.packs_all(hit.request, together):
            return
        standing = Acknowledgment.objects.filter(delivery=OuterRef("pk"), undone_at__isnull=True)
        others: list[Delivery] = []
        because, files = "", 0
        for delivery in packed.rows.annotate(is_known=Exists(standing)).iterator(_AT_ONCE):
            if not packed.fits(delivery):
                continue
            if why := self._why_not(hit.request, delivery, packed.wanted):
                others, because, files = others or [delivery], why, files + 1
            elif not delivery.is_known and delivery.id not in found.packed:
                found.packed.add(delivery.id)
                found.made.append(self._acknowledgment(hit, delivery, "packed"))
        if others:
            self._note_access(
                found, hit.request, Access(others[0], hit.request.user, hit.request.address, because, files)
            )

    def _note_access(self, found: _Found, request: Request, access: Access) -> None:
        found.accesses[access] += 1
        found.last[access] = max(request.at, found.last.get(access, request.at))

    def _why_not(self, request: Request, delivery: Delivery, wanted: Wanted) -> str:
        """Why this fetch acknowledges nothing; empty when it does."""
        if request.at < delivery.arrival.received_at - judging.SKEW:
            return "before it was received"
        folder = wanted.values.get(self._field) or delivery.arrival.fields.get(self._field)
        if judging.is_bot(request.agent) and not self._rights.names(request.user, folder):
            return "bot"
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

    def _write(self, found: _Found) -> Recorded:
        standing = _standing({row.delivery_id for row in found.made})
        firsts: dict[int, Acknowledgment] = {}
        for row in found.made:
            if row.delivery_id not in standing:
                firsts.setdefault(row.delivery_id, row)
        Acknowledgment.objects.bulk_create(found.made, batch_size=_AT_ONCE)
        found.fetches.save()
        events = [fetch_events.acknowledged(row) for row in firsts.values()]
        events += [
            fetch_events.accessed(access, count, found.last[access], self._log)
            for access, count in found.accesses.items()
        ]
        append(events)
        return Recorded(len(found.made), sum(found.accesses.values()))


def _standing(deliveries: set[int]) -> set[int]:
    ids, found = sorted(deliveries), set()
    for start in range(0, len(ids), _AT_ONCE):
        rows = Acknowledgment.objects.filter(
            delivery_id__in=ids[start : start + _AT_ONCE], undone_at__isnull=True
        )
        found |= set(rows.values_list("delivery_id", flat=True))
    return found
