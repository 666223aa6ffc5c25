"""Counts of what the audit trail records. Its events are never changed, so only new ones are read each time.

The durations are those of delivered arrivals, from the trail and their rows: so several machines count each once.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Max, QuerySet

from dropslot.arrivals.metrics.spread import Spread
from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.core.showing.quantities import CHUNK, chunks

# Of a trail that is longer when the process starts, only what follows is counted: the first answer must come within the
# ten seconds that Prometheus waits. To it a counter that begins anew is nothing special.
LONGEST = 250_000


class _Row(NamedTuple):
    """What the durations of an arrival need."""

    route: str
    dropped_at: datetime
    received_at: datetime


class Tally:
    """Events by kind, and by route deliveries with their outcomes and durations; up to the event `seq`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.seq = 0
        self.kinds: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.spreads: dict[str, dict[str, Spread]] = {
            step: defaultdict(Spread) for step in ("claim", "delivery", "staging", "publishing")
        }

    def update(self) -> None:
        """Count the events that are new. Raises DatabaseError; then nothing is counted twice later."""
        with self._lock:
            newest = Event.objects.aggregate(seq=Max("seq"))["seq"] or 0
            if newest < self.seq:  # an older database took this one's place
                self._forget()
            if self.seq == 0 and newest > LONGEST:
                self.seq = newest
            new = Event.objects.filter(seq__gt=self.seq, seq__lte=newest).order_by()
            kinds = dict(new.values_list("kind").annotate(count=Count("seq")))
            delivered = list(_delivered(new)) if kinds.get(Kind.DELIVERED) else []
            self.kinds.update(kinds)
            for row, at, data in delivered:
                self._count(row, at, data)
            self.seq = newest

    def _count(self, row: _Row, at: datetime, data: dict[str, Any]) -> None:
        for outcome, count in data["outcomes"].items():
            self.outcomes[row.route, outcome] += count
        durations = {
            "claim": (row.received_at - row.dropped_at).total_seconds(),
            "delivery": (at - row.received_at).total_seconds(),
            **data.get("seconds", {}),  # trails of earlier versions have none
        }
        for step, seconds in durations.items():
            if step in self.spreads:
                self.spreads[step][row.route].add(seconds)


def _delivered(events: QuerySet[Event]) -> Iterator[tuple[_Row, datetime, dict[str, Any]]]:
    rows = events.filter(kind=Kind.DELIVERED).values_list("arrival", "at", "data")
    for some in chunks(rows.iterator(chunk_size=CHUNK), CHUNK):
        known = _rows([arrival for arrival, _, _ in some])
        for arrival, at, data in some:
            if arrival in known:
                yield known[arrival], datetime.fromisoformat(at), json.loads(data)


def _rows(arrivals: Sequence[str]) -> dict[str, _Row]:
    rows = Arrival.objects.filter(id__in=arrivals).order_by().values_list("id", *_Row._fields)
    return {id: _Row(*columns) for id, *columns in rows}
