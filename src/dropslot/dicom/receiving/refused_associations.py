"""Associations that were refused, as events of the trail: many together, so that a port scanner cannot fill it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog
from django.db import transaction

from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.audit.event_payloads import AssociationsRefused

log = structlog.get_logger()
EVERY_SECONDS = 60.0
_LISTED = 20  # in one event


class Refused(NamedTuple):
    """What was the same of some refusals; texts are escaped."""

    aet: str
    host: str
    called: str
    why: str


class Refusals:
    """The refusals of one process that are not recorded yet. Those of the first minute are recorded at once; after that
    there is one event a minute at most, with the first few callers by name and the others by number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Refused] = Counter()
        self._others = 0
        self._recorded_at = float("-inf")

    def note(self, aet: str, host: str, called: str, why: str) -> None:
        """Keep one refusal. Of the same caller it is logged once an event."""
        one = Refused(escape(aet), host, escape(called), why)
        with self._lock:
            if one not in self._counts and len(self._counts) >= _LISTED:
                self._others += 1
                return
            self._counts[one] += 1
            is_first = self._counts[one] == 1
        if is_first:
            log.warning(
                f"{one.aet} at {host} was refused: {why}",
                action="association_refused",
                aet=one.aet,
                host=host,
            )

    def record(self, *, is_last: bool = False) -> None:
        """Append the event of what is noted, if it is time. Raises DatabaseError: it stays noted."""
        now = time.monotonic()
        with self._lock:
            counts, others = dict(self._counts), self._others
        if not counts or (now < self._recorded_at + EVERY_SECONDS and not is_last):
            return
        with transaction.atomic():
            append([entry(Kind.ASSOCIATIONS_REFUSED, "", _payload(counts, others))])
        self._recorded_at = now
        with self._lock:
            self._counts -= Counter(counts)
            self._others -= others


def _payload(counts: dict[Refused, int], others: int) -> AssociationsRefused:
    return {
        "count": sum(counts.values()) + others,
        "others": others,
        "callers": [{**one._asdict(), "count": count} for one, count in counts.items()],
    }
