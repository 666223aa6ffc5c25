"""A recipient's fetch through the portal, recorded as a log reader records one from an access log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError, transaction
from django.http import HttpRequest

from dropslot.access.payloads.ranges import Span
from dropslot.access.seen import Access
from dropslot.access.visit_trail import address_of
from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.matching.delivery_finder import Hit, Wanted
from dropslot.acknowledgments.matching.judging import ANYBODY, Rights
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.acknowledgments.record_fetches import Recorder
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import timestamp
from dropslot.core.names import escape
from dropslot.core.states import Outcome

log = structlog.get_logger()
PORTAL = "portal"  # what acknowledgments have in the place of a log's name
_AT_ONCE = 500
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request for payloads, taken from it before its answer is sent."""

    access: Access
    address: str
    agent: str
    method: str
    path: str

    @classmethod
    def of(cls, request: HttpRequest) -> Fetch:
        agent = request.headers.get("User-Agent", "")[:300]
        access: Access = request.access  # type: ignore[attr-defined]
        return cls(access, address_of(request), agent, request.method or "", request.path)

    def sent(self, deliveries: Sequence[int], size_bytes: int, span: Span | None = None) -> None:
        """All bytes of the answer were handed to the server: `size_bytes` with these deliveries (by id), or with this
        span of the only one. What a recipient received is acknowledged; a fault of the database is logged."""
        if not self.access.name or not deliveries:
            return
        for start in range(0, len(deliveries), _AT_ONCE):
            some = deliveries[start : start + _AT_ONCE]
            for left in range(_TRIES - 1, -1, -1):
                try:
                    self._record(some, len(deliveries), size_bytes, span)
                    break
                except DatabaseError as error:
                    if not left:
                        _complain(self.access.name, some, error)

    def _record(self, ids: Sequence[int], among: int, size_bytes: int, span: Span | None) -> None:
        at = datetime.now(UTC)
        request = Request(
            at=at,
            address=self.address,
            user=self.access.name,
            method="GET",
            target=self.path.encode("utf-8", "surrogateescape"),
            status=206 if span else 200,
            body_bytes=size_bytes,
            aborted=False,
            agent=self.agent,
            span=(span.first, span.after) if span else None,
        )
        said = (
            timestamp(at),
            self.address,
            self.access.name,
            self.method,
            self.path,
            request.status,
            size_bytes,
        )
        line = " ".join(map(str, said))
        rights = Rights({self.access.name: (ANYBODY,)})
        with transaction.atomic():
            received = list(self._received(ids))
            if received:
                wanted = Wanted({}, among)
                hit = Hit(escape(line).encode("utf-8"), request, [(row, wanted) for row in received])
                Recorder(PORTAL, rights, "").record([hit])

    def _received(self, ids: Sequence[int]) -> Iterator[Delivery]:
        """Those that were made to this account and that it has not acknowledged here yet. Their rows are locked, so
        that of two fetches at once one is recorded."""
        rows = self.access.received().filter(pk__in=ids).values_list("place_id", "stored_as", "pk", "outcome")
        own = {pk for *_, pk, outcome in rows if outcome == Outcome.DELIVERED}
        own |= _delivered_before(
            {(place, name) for place, name, _, outcome in rows if outcome != Outcome.DELIVERED}
        )
        locked = Delivery.objects.select_for_update(of=("self",)).filter(pk__in=own).order_by("pk")
        found = list(locked.select_related("arrival", "place"))
        standing = Acknowledgment.objects.filter(
            delivery_id__in=own, user=escape(self.access.name), log=PORTAL, undone_at__isnull=True
        )
        known = set(standing.values_list("delivery_id", flat=True))
        return (row for row in found if row.pk not in known)


def _delivered_before(unchanged: set[tuple[int, str]]) -> set[int]:
    """The deliveries whose files the unchanged ones are."""
    if not unchanged:
        return set()
    places, names = zip(*unchanged, strict=True)
    rows = Delivery.objects.filter(
        outcome=Outcome.DELIVERED, place_id__in=set(places), stored_as__in=set(names)
    ).values_list("place_id", "stored_as", "pk")
    return {pk for place, name, pk in rows if (place, name) in unchanged}


def _complain(name: str, deliveries: Sequence[int], error: Exception) -> None:
    log.error(
        "A fetch was not recorded as an acknowledgment; the trail has its download",
        action="fetch_unrecorded",
        user=escape(name),
        deliveries=list(deliveries)[:10],
        error=str(error),
    )
