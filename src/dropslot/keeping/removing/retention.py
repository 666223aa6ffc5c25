"""Removes originals from done by itself, as `done: keep 90d` asks: those that are older, whose every file was read back
just before at every destination, and that are under no legal hold."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep.latewrites import require_compared
from dropslot.arrivals.workers import elsewhere
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.holds import OnLegalHold
from dropslot.keeping.models import KeptOriginal, LegalHold
from dropslot.keeping.removing.purge import Why, archived_before, give_up_replaced, purge
from dropslot.keeping.section import keeps_for

log = structlog.get_logger()
LOOK_SECONDS = 3600.0
_FIRST_AGAIN, _LONGEST_AGAIN = timedelta(hours=6), timedelta(days=7)
_FROM_REBUILD = "rebuilt"


class Retention:
    """What one process removes, an arrival at a time."""

    def __init__(self, config: Config, reader: Reader) -> None:
        self._config, self._reader = config, reader
        self._due: deque[str] = deque()
        self._looked_at = float("-inf")

    def step(self) -> float:
        """Remove one original that is due; returns the seconds until the next one may be."""
        if not self._due and time.monotonic() >= self._looked_at + LOOK_SECONDS:
            self._looked_at = time.monotonic()
            give_up_replaced()
            self._due.extend(due(self._config, timezone.now()))
        if not self._due:
            return self._looked_at + LOOK_SECONDS - time.monotonic()
        remove(self._config, self._due.popleft(), self._reader)
        return 0.0


def due(config: Config, now: datetime) -> Iterator[str]:
    """The ids of arrivals whose originals are to be removed now, those of each route by age. What a rebuild brought
    back is left to `dropslot purge`: a database that was lost knew of holds that nobody knows now."""
    held = LegalHold.objects.values("arrival")
    waiting = KeptOriginal.objects.filter(due_at__gt=now).values("arrival")
    away = elsewhere.inboxes(config)
    for key, route in config.routes.items():
        if kept := keeps_for(config, route):
            rows = archived_before(now - kept).filter(route=key).exclude(inbox__in=away)
            rows = rows.exclude(evidence__has_key=_FROM_REBUILD)
            yield from rows.exclude(id__in=held).exclude(id__in=waiting).values_list("id", flat=True)


def remove(config: Config, id: str, reader: Reader) -> bool:
    """Remove the original of one arrival, or note why it is kept. False: it is kept, or was gone already."""
    arrival = Arrival.objects.get(id=id)
    if not arrival.archived_as:
        return False  # since it was found to be due
    kept = keeps_for(config, config.routes[arrival.route])
    assert kept is not None
    why = Why(f"done keeps originals for {_in_words(kept)}", only_read_back=True)
    try:
        require_compared(config, arrival, digest=reader.digest_of)
        purged = purge(arrival, reader, why)
    except OnLegalHold:
        return False  # it came meanwhile
    except (DropslotError, OSError) as error:
        _note_kept(arrival, error)
        return False
    KeptOriginal.objects.filter(arrival=arrival).delete()
    if purged is not None:
        log.info("An original was removed from done", action="purged", arrival=id)
    return purged is not None


def _note_kept(arrival: Arrival, error: Exception) -> None:
    row, is_new = KeptOriginal.objects.get_or_create(
        arrival=arrival, defaults={"why": str(error), "due_at": timezone.now() + _FIRST_AGAIN}
    )
    if not is_new:
        row.why, row.attempts = str(error), row.attempts + 1
        row.due_at = timezone.now() + min(_FIRST_AGAIN * 2 ** min(row.attempts, 10), _LONGEST_AGAIN)
        row.save()
    log.warning("An original is kept in done", action="not_purged", arrival=arrival.id, error=str(error))


def _in_words(kept: timedelta) -> str:
    seconds = int(kept.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
