"""The holder's side: it cuts a large arrival into shares, stages them together with helpers, and goes on when all are
staged.

A share belongs to one attempt: its rows carry the epoch, and its files lie in that epoch's staging folder. So whatever
a helper does after a takeover fails, as it does for a holder that was taken over. Within an attempt a share is staged
again by the holder alone, and only after its helper said that it gave up, or has surely ended: a process that may still
write must not meet another one in the same folder. If a helper is silent and may be alive, the attempt is void.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

import structlog
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.delivery import guarded_writes
from dropslot.arrivals.delivery.shares.cutting import Range, cut
from dropslot.arrivals.delivery.shares.task import Task
from dropslot.arrivals.delivery.work import Leg, Work
from dropslot.arrivals.models import Share
from dropslot.contents.base import Source, Staged
from dropslot.core.errors import ShareLost
from dropslot.core.states import ShareState
from dropslot.destinations.shared import Part, SharedDrop

log = structlog.get_logger()
WAIT_SECONDS = 0.05
SHARED_ATTEMPTS = 3  # whatever helpers lose, the next attempt needs none
_ROWS_AT_ONCE = 50
_PAUSE = threading.Event()  # never set: waiting for it is how this module waits


def stage(work: Work, leg: Leg, source: Source) -> list[Staged]:
    """Stage the items of one leg: alone, or in shares if the arrival is large and others add to the rate."""
    drop, contents = leg.drop, work.contents
    ranges = cut(source.listing.items, work.config.share_from)
    lost = work.arrival.attempts > SHARED_ATTEMPTS
    if len(ranges) < 2 or lost or work.made or not isinstance(drop, SharedDrop):
        return drop.stage(source, contents.algorithms, contents.prefix)
    drop.begin(source, contents.algorithms, contents.prefix)
    if not drop.gains:
        return drop.end([drop.stage_items(0, len(source.listing.items))])
    return drop.end(_Shared(work, leg, drop, source, ranges).stage())


class _Shared:
    def __init__(
        self, work: Work, leg: Leg, drop: SharedDrop, source: Source, ranges: Sequence[Range]
    ) -> None:
        self.work, self.leg, self.drop, self.source, self.ranges = work, leg, drop, source, ranges
        self.parts: dict[int, Part] = {}

    @property
    def _rows(self) -> QuerySet[Share]:
        return Share.objects.filter(arrival_id=self.work.id, epoch=self.work.epoch)

    def stage(self) -> list[Part]:
        """The parts of all shares. On return no row is left; after an error none may be taken any more."""
        self._open()
        try:
            while len(self.parts) < len(self.ranges):
                if not self._stage_next() and not self._look_at_helpers():
                    self.work.crew.pause()
                    _PAUSE.wait(WAIT_SECONDS)
        except BaseException as error:
            if isinstance(error, ShareLost):
                self.drop.keep_sent()
            with suppress(DatabaseError):
                self._adopt_reported()
                self._rows.delete()
            raise
        self._rows.delete()
        return [self.parts[number] for number in range(len(self.ranges))]

    def _open(self) -> None:
        listing, work = self.source.listing, self.work
        with transaction.atomic():
            guarded_writes.update_held(work.hold, items=len(listing.items), size_bytes=listing.size_bytes)
            Share.objects.filter(arrival_id=work.id).delete()  # of an attempt that was killed
            Share.objects.bulk_create(map(self._row, range(len(self.ranges))), batch_size=_ROWS_AT_ONCE)
        log.info("Shared among workers", action="shared", arrival=work.id, shares=len(self.ranges))
        assert work.crew.announce
        work.crew.announce(work.arrival, len(self.ranges))

    def _row(self, number: int) -> Share:
        work, contents = self.work, self.work.contents
        start, stop = self.ranges[number]
        listing = self.source.listing
        some = type(listing)(is_folder=listing.is_folder, items=listing.items[start:stop])
        task = Task(
            self.leg.rule.to,
            self.leg.target,
            work.name,
            self.source._replace(listing=some),
            list(contents.algorithms),
            contents.prefix,
            self.drop.prefix,
        )
        return Share(
            arrival_id=work.id,
            epoch=work.epoch,
            number=number,
            route=work.route.key,
            state=ShareState.OPEN,
            task=task.encode(),
        )

    def _stage_next(self) -> bool:
        """Stage the first share that nobody has taken; helpers take the last ones."""
        free = self._rows.filter(state=ShareState.OPEN).order_by("number")
        number = free.values_list("number", flat=True).first()
        if number is None:
            return False
        if self._take(free.filter(number=number)):
            self._stage(number)
        return True

    def _take(self, share: QuerySet[Share]) -> bool:
        # Without a lease: whoever holds the arrival answers for it.
        return share.update(state=ShareState.TAKEN, worker=self.work.crew.worker, lease_until=None) == 1

    def _stage(self, number: int, *, again: bool = False) -> None:
        self.parts[number] = self.drop.stage_items(*self.ranges[number], again=again)

    def _look_at_helpers(self) -> bool:
        """Collect what helpers have staged, and stage again what they gave up. False: they are still at work."""
        rows = {
            number: (state, worker)
            for number, state, worker in self._rows.values_list("number", "state", "worker")
        }
        left = [number for number in range(len(self.ranges)) if number not in self.parts]
        if any(number not in rows for number in left):
            guarded_writes.require_held(self.work.hold)
            raise _lost("The shares of this attempt are no longer in the database")
        return sum(self._is_settled(number, *rows[number]) for number in left) > 0 or self._none_is_silent()

    def _is_settled(self, number: int, state: str, worker: str) -> bool:
        if state == ShareState.STAGED:
            self._adopt(self._rows.get(number=number))
        elif state == ShareState.GIVEN_UP or (state == ShareState.TAKEN and self.work.crew.is_dead(worker)):
            mine = self._rows.filter(number=number, state=state, worker=worker)
            if self._take(mine):
                self._stage(number, again=True)
        else:
            return False
        return True

    def _adopt(self, row: Share) -> None:
        part = Part(bytes(row.digests or b""), row.unleased, row.synced, bytes(row.uploads or b""))
        self.drop.adopt(part)
        self.parts[row.number] = part

    def _adopt_reported(self) -> None:
        for row in self._rows.filter(state=ShareState.STAGED).exclude(number__in=list(self.parts)):
            self._adopt(row)

    def _none_is_silent(self) -> bool:
        """False. Raises ShareLost if a helper has not renewed its lease."""
        late = self._rows.filter(state=ShareState.TAKEN, lease_until__lte=Now())
        late = late.exclude(worker=self.work.crew.worker)
        if name := late.values_list("worker", flat=True).first():
            raise _lost(f"The worker {name}, which stages a share of it, does not answer")
        return False


def _lost(what: str) -> ShareLost:
    return ShareLost(
        what,
        where="The source is untouched; what was staged is thrown away, since that worker may still write to it",
        next_step="It is staged again. If this repeats, look at that machine",
    )
