"""What workers write about arrivals. Every write is guarded by the epoch: a worker that was taken over changes no row.

The database's clock decides on leases; conditional updates and their row counts decide who holds what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import F, Field, Q, QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.delivery.work import Hold, Work
from dropslot.arrivals.models import Arrival
from dropslot.audit.canonical import text_of
from dropslot.audit.chain import Entry, append
from dropslot.audit.kinds import Kind, Started, entry
from dropslot.core.concealing import conceal
from dropslot.core.errors import TakenOver
from dropslot.core.states import UNFINISHED, State

BATCH = 64
# Above this an arrival is taken alone, so that one worker does not sit on what another could do.
ALONE_BYTES = 32 << 20
ALONE_ITEMS = 500
LONGEST_WAIT = 300.0
MANY_ATTEMPTS = 3


def takeable(worker: str, is_dead: Callable[[str], bool]) -> QuerySet[Arrival]:
    """Arrivals that `worker` may take now: due ones, its own left-overs, and those whose holder is dead or late."""
    holders = Arrival.objects.filter(state=State.PROCESSING).exclude(worker=worker)
    dead = [name for name in holders.values_list("worker", flat=True).distinct() if is_dead(name)]
    # No wait is that long: what is due later than this was written before the clock was set back.
    set_back = Q(due_at__gt=Now() + timedelta(seconds=2 * LONGEST_WAIT))
    due = Q(due_at__isnull=True) | Q(due_at__lte=Now()) | set_back
    waiting = Q(state__in=(State.READY, State.RETRYING)) & due
    # What killed its workers again and again waits for its lease: taken at once it would leave no worker to others.
    left = Q(worker=worker) | Q(worker__in=dead, attempts__lte=MANY_ATTEMPTS)
    orphaned = Q(state=State.PROCESSING) & (Q(lease_until__lte=Now()) | left)
    # The state is said twice so that the planner can use the partial index.
    return Arrival.objects.filter(Q(state__in=UNFINISHED) & (waiting | orphaned)).order_by("dropped_at", "id")


def take_next(
    worker: str, lease: timedelta, is_dead: Callable[[str], bool], limit: int = BATCH
) -> list[Arrival]:
    """Claim a batch for `worker`: one commit. Each gets the next epoch; the caller then removes what older epochs
    staged. Empty when there is nothing to do, without having taken the write lock."""
    candidates = takeable(worker, is_dead)
    if not candidates.exists():
        return []
    with transaction.atomic():
        chosen = _batch(_locked(candidates)[:limit])
        ids = [arrival.id for arrival in chosen]
        if not ids:
            return []
        Arrival.objects.filter(id__in=ids).update(
            state=State.PROCESSING,
            worker=worker,
            epoch=F("epoch") + 1,
            attempts=F("attempts") + 1,
            lease_until=Now() + lease,
        )
        for arrival in chosen:
            arrival.epoch += 1
            arrival.attempts += 1
        append([_started(arrival, worker) for arrival in chosen])
    return chosen


def _locked(candidates: QuerySet[Arrival]) -> QuerySet[Arrival]:
    if connection.features.has_select_for_update_skip_locked:
        return candidates.select_for_update(skip_locked=True)
    return candidates


def _batch(candidates: Iterable[Arrival]) -> list[Arrival]:
    """The longest start of the queue that is worth one batch: small ones together, a large one alone, and one that
    failed before alone too, so that it cannot hold up others again and again."""
    batch: list[Arrival] = []
    for arrival in candidates:
        alone = (
            (arrival.size_bytes or 0) > ALONE_BYTES
            or (arrival.items or 0) > ALONE_ITEMS
            or arrival.attempts > 2
        )
        if alone and batch:
            break
        batch.append(arrival)
        if alone:
            break
    return batch


def _started(arrival: Arrival, worker: str) -> Entry:
    data: Started = {"attempt": arrival.attempts, "epoch": arrival.epoch, "worker": worker}
    if arrival.state == State.PROCESSING:
        return entry(Kind.TAKEN_OVER, arrival.id, data)
    return entry(Kind.STARTED, arrival.id, data)


def renew_leases(worker: str, lease: timedelta) -> None:
    """Lengthen the leases of all that `worker` holds."""
    Arrival.objects.filter(state=State.PROCESSING, worker=worker).update(lease_until=Now() + lease)


def update_held(hold: Hold, **values: Any) -> None:
    """Write columns of a held arrival; raises TakenOver when another epoch has begun."""
    if _held(hold).update(**values) != 1:
        raise _taken_over(hold)


def require_held(hold: Hold) -> None:
    """Raise TakenOver when another epoch has begun, or the arrival is not at work any more."""
    if not _held(hold).exists():
        raise _taken_over(hold)


def _held(hold: Hold) -> QuerySet[Arrival]:
    return Arrival.objects.filter(id=hold.id, epoch=hold.epoch, state=State.PROCESSING)


def _taken_over(hold: Hold) -> TakenOver:
    return TakenOver(
        f"Arrival {hold.id} is now held by another worker", next_step="Nothing needs to be done here"
    )


def update_all(works: Sequence[Work], columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    """Write `columns` of held arrivals, a row of values each, by one statement; raises TakenOver when another epoch has
    begun for any of them (the caller's transaction is then to be undone)."""
    fields = [cast("Field[Any, Any]", Arrival._meta.get_field(name)) for name in columns]
    settings = ", ".join(f"{name} = %s" for name in columns)
    statement = f"UPDATE dropslot_arrival SET {settings} WHERE id = %s AND epoch = %s AND state = %s"
    rows = []
    for work, row in zip(works, values, strict=True):
        stored = (field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True))
        rows.append((*stored, *work.hold, State.PROCESSING))
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
        if cursor.rowcount != len(works):
            raise TakenOver(f"One of {len(works)} arrivals is now held by another worker")


def give_back_arrival(work: Work) -> None:
    """A large arrival of a batch goes back to the queue, with what is known of its size."""
    with transaction.atomic():
        update_held(
            work.hold,
            state=State.READY,
            items=len(work.listing.items),
            size_bytes=work.listing.size_bytes,
            attempts=F("attempts") - 1,
            worker="",
            lease_until=None,
        )
        append([entry(Kind.GIVEN_BACK, work.id, {"epoch": work.epoch})])


def postpone_attempt(
    hold: Hold,
    reasons: Sequence[str],
    seconds: float,
    *,
    counts: bool = True,
    evidence: dict[str, Any] | None = None,
) -> None:
    """Try again after `seconds`: what failed can heal. An attempt that only waited its turn does not count; what is
    known of it since, in `evidence`, is kept."""
    with transaction.atomic():
        update_held(
            hold,
            state=State.RETRYING,
            reason=_storable(reasons),
            due_at=Now() + timedelta(seconds=seconds),
            attempts=F("attempts") - (0 if counts else 1),
            worker="",
            lease_until=None,
            **({} if evidence is None else {"evidence": evidence}),
        )
        append(
            [
                entry(
                    Kind.RETRYING,
                    hold.id,
                    {"epoch": hold.epoch, "in_seconds": round(seconds, 1), "reason": _storable(reasons)},
                )
            ]
        )


def _storable(reasons: Sequence[str]) -> list[str]:
    """Reasons as every database holds them, and without secrets: a plugin's may have NUL, bytes that are no text, or a
    password in them."""
    return [text_of(conceal(reason)).replace("\0", r"\x00") for reason in reasons]


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: 1, 2, 4, … up to five minutes."""
    return min(2.0 ** max(attempts - 1, 0), LONGEST_WAIT)


def record_refusal(work: Work, reasons: Sequence[str]) -> None:
    """The arrival failed, whole; the caller then moves it beside its reason."""
    with transaction.atomic():
        update_held(
            work.hold,
            state=State.FAILED,
            reason=_storable(reasons),
            items=len(work.listing.items),
            size_bytes=work.listing.size_bytes,
            finished_at=Now(),
            archived_as="",
            worker="",
            lease_until=None,
        )
        append([entry(Kind.REFUSED, work.id, {"epoch": work.epoch, "reason": _storable(reasons)})])
