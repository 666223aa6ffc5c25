"""Reads every stored file once within a time, spread over that time, and goes on where it was after a restart.

A round reads the deliveries in the order of their ids. It takes nine tenths of the time, and the next one begins right
then: so a file is read again before the time is over, however many files come meanwhile, because new ones have higher
ids and a round goes on to the newest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from dropslot.audit.chain import append
from dropslot.config import Config
from dropslot.keeping.fixity import damage, elsewhere_stored, ending, put_off
from dropslot.keeping.fixity.digest_reader import Reader, place_key
from dropslot.keeping.fixity.fixity_report import Seen, StoredFile
from dropslot.keeping.fixity.stored_files import Readable, page_after, stored
from dropslot.keeping.models import FixityRound
from dropslot.keeping.section import Fixity

log = structlog.get_logger()
SHARE = 0.9
FILE_BYTES = 10_000  # a file costs something besides its bytes
_SLICE_FILES, _SLICE_BYTES = 500, 256 << 20
_COUNTED_FOR_SECONDS = 3600.0
ASK_AGAIN_SECONDS = 600.0
LONGEST_SECONDS = 60.0
_FIRST_SECONDS = 5.0


class Rounds:
    """The rounds of one process. `reader` has the rate; `check` ends what goes on, by what it raises."""

    def __init__(self, config: Config, fixity: Fixity, reader: Reader, check: Callable[[], None]) -> None:
        self._config, self._fixity, self._reader, self._check = config, fixity, reader, check
        self._readable = Readable()
        self._total = 0  # bytes of all stored files, with those that each file costs
        self._counted_at = float("-inf")
        self._asked_at = float("-inf")

    def step(self) -> float:
        """Read a slice if it is due; returns the seconds until the next one is. After a crash a slice is read again."""
        now = timezone.now()
        row = self._current(now)
        if row is None:
            return _FIRST_SECONDS
        if row.ended_at is not None:
            return seconds_until(row.began_at + SHARE * self._fixity.every, now)
        if row.put_off and time.monotonic() >= self._asked_at + ASK_AGAIN_SECONDS:
            self._asked_at = time.monotonic()
            self._read_what_was_put_off(row)
            return 0.0
        files = page_after(row.after, _SLICE_BYTES, most_files=_SLICE_FILES)
        if not files:
            return self._end(row, now)
        wait = self._wait(row, now)
        return wait if wait > 0 else self._read(row, files)

    def _current(self, now: datetime) -> FixityRound | None:
        """The round that goes on or ended last; None while nothing was ever delivered: an empty trail looks lost."""
        row = FixityRound.objects.order_by("-id").first()
        if row is not None and row.began_at > now:  # the clock was set back
            row.began_at = now
            row.save(update_fields=["began_at"])
        if row is None and not stored().exists():
            return None
        if row is None or (row.ended_at and now >= row.began_at + SHARE * self._fixity.every):
            row = FixityRound.objects.create(began_at=now)
            log.info("A reading of every stored file begins", action="fixity_started", round=row.id)
        return row

    def _wait(self, row: FixityRound, now: datetime) -> float:
        """Seconds until the share of the time has passed that is the share of the files read so far."""
        if time.monotonic() >= self._counted_at + _COUNTED_FOR_SECONDS:
            found = stored().aggregate(files=Count("pk"), size=Sum("size_bytes"))
            self._total = (found["size"] or 0) + FILE_BYTES * found["files"]
            self._counted_at = time.monotonic()
        done = row.size_bytes + FILE_BYTES * row.files
        share = min(1.0, done / self._total) if self._total else 1.0
        return seconds_until(row.began_at + share * SHARE * self._fixity.every, now)

    def _read(self, row: FixityRound, files: Sequence[StoredFile]) -> float:
        seen = self._look(files)
        before, row.after = row.after, files[-1].id
        row.files += len(files)
        row.size_bytes += sum(one.size_bytes for one in files)
        self._save(row, seen, before=before, later=put_off.add(row.put_off, seen))
        return 0.0

    def _look(self, files: Sequence[StoredFile]) -> list[Seen]:
        seen = list(self._reader.look([one for one in files if self._readable(one.url)]))
        return elsewhere_stored.of_this_one(self._config, seen)

    def _save(self, row: FixityRound, seen: Sequence[Seen], *, before: int, later: put_off.PutOff) -> None:
        row.put_off = later
        row.damaged += sum(1 for one in seen if one.fault and not one.is_away)
        fields = ("after", "files", "size_bytes", "damaged", "put_off")
        with transaction.atomic():
            # Only who saw the round as it is may move it: another process may have been faster.
            mine = FixityRound.objects.filter(id=row.id, after=before, ended_at=None)
            if mine.update(**{name: getattr(row, name) for name in fields}):
                append(damage.record(seen))

    def _read_what_was_put_off(self, row: FixityRound) -> None:
        """Ask each place that did not answer once more, and read a slice of its files."""
        for place, first, last in list(put_off.places(row.put_off)):
            self._reader.forget_away(place)
            page = page_after(first - 1, _SLICE_BYTES, last=last, most_files=_SLICE_FILES)
            seen = self._look([one for one in page if place_key(one.url) == place])
            if any(one.is_away for one in seen):
                continue
            end = page[-1].id if page else last
            self._save(row, seen, before=row.after, later=put_off.done_up_to(row.put_off, place, end))
            self._asked_at = float("-inf")  # it answers: go on at once

    def _end(self, row: FixityRound, now: datetime) -> float:
        """All is read: end the round. What was put off is waited for, up to the whole time."""
        over = row.began_at + self._fixity.every
        if row.put_off and now < over:
            return min(ASK_AGAIN_SECONDS, seconds_until(over, now))
        ending.end(self._config, row, self._reader, self._check)
        return 0.0


def seconds_until(due: datetime, now: datetime) -> float:
    """How long to wait, in small steps: clocks may be set meanwhile."""
    return min(max(0.0, (due - now).total_seconds()), LONGEST_SECONDS)


def behind_by(row: FixityRound, fixity: Fixity, now: datetime) -> timedelta:
    """By how much a round that goes on is late; zero if it is not."""
    over = row.began_at + fixity.every
    return max(timedelta(0), now - over) if row.ended_at is None else timedelta(0)
