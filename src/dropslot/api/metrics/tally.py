"""Counts of what the audit trail records. Its events are never changed, so only new ones are read each time."""

from __future__ import annotations

import json
import threading
from collections import Counter

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery

from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event


class Tally:
    """Events by kind, and deliveries by route and outcome, up to the event `seq`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.seq = 0
        self.kinds: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def update(self) -> None:
        """Count the events that are new. Raises DatabaseError; then nothing is counted twice later."""
        with self._lock:
            newest = Event.objects.aggregate(seq=Max("seq"))["seq"] or 0
            if newest < self.seq:  # an older database took this one's place
                self._forget()
            new = Event.objects.filter(seq__gt=self.seq, seq__lte=newest).order_by()
            kinds = dict(new.values_list("kind").annotate(count=Count("seq")))
            outcomes = _outcomes(new.filter(kind=Kind.DELIVERED)) if kinds.get(Kind.DELIVERED) else Counter()
            self.kinds.update(kinds)
            self.outcomes.update(outcomes)
            self.seq = newest


def _outcomes(events: QuerySet[Event]) -> Counter[tuple[str, str]]:
    route = Arrival.objects.filter(pk=OuterRef("arrival")).values("route")[:1]
    found: Counter[tuple[str, str]] = Counter()
    rows = events.annotate(route=Subquery(route)).values_list("route", "data")
    for key, data in rows.iterator(chunk_size=2000):
        for outcome, count in json.loads(data)["outcomes"].items():
            found[key or "", outcome] += count
    return found
