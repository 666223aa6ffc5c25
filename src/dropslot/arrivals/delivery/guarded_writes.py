"""Workers' writes about arrivals. Every write is guarded by the epoch: a worker that was taken over changes no row.

Conditional updates and their row counts decide who holds an arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import F, Field, QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.delivery.work import Hold, Work
from dropslot.arrivals.models import Arrival
from dropslot.audit.canonical import text_of
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.core.concealing import conceal
from dropslot.core.errors import TakenOver
from dropslot.core.states import State

# A larger arrival is taken alone, so that one worker does not hold work that another could do.
ALONE_BYTES = 32 << 20
ALONE_ITEMS = 500
LONGEST_WAIT = 300.0


def update_held(hold: Hold, **values: Any) -> None:
    """Write columns of a held arrival; raises TakenOver if another epoch has begun."""
    if _held(hold).update(**values) != 1:
        raise _taken_over(hold)


def require_held(hold: Hold) -> None:
    """Raise TakenOver if another epoch has begun, or if the arrival is no longer in processing."""
    if not _held(hold).exists():
        raise _taken_over(hold)


def _held(hold: Hold) -> QuerySet[Arrival]:
    return Arrival.objects.filter(id=hold.id, epoch=hold.epoch, state=State.PROCESSING)


def _taken_over(hold: Hold) -> TakenOver:
    return TakenOver(
        f"Arrival {hold.id} is now held by another worker", next_step="Nothing needs to be done here"
    )


def update_all(works: Sequence[Work], columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    """Write `columns` of held arrivals in one statement, with a row of values for each. Raises TakenOver when another
    epoch has begun for any of them; the caller must then roll back its transaction."""
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
    """Put a large arrival of a batch back into the queue, with its size so far."""
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
    """Retry after `seconds`: the problem is temporary. An attempt that only waited for its turn does not count. New
    facts in `evidence` are kept."""
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


def hold_arrival(work: Work, reason: str) -> None:
    """Hold an arrival that was judged whole: no worker takes it before it is released. The attempt does not count."""
    items, size_bytes = len(work.listing.items), work.listing.size_bytes
    with transaction.atomic():
        update_held(
            work.hold,
            state=State.READY,
            held_at=Now(),
            reason=[reason],
            items=items,
            size_bytes=size_bytes,
            due_at=None,
            attempts=F("attempts") - 1,
            worker="",
            lease_until=None,
        )
        append([entry(Kind.HELD, work.id, {"epoch": work.epoch, "items": items, "size_bytes": size_bytes})])


def _storable(reasons: Sequence[str]) -> list[str]:
    """Reasons in a form that every database accepts, and without secrets. A plugin's reasons may contain NUL, bytes
    that are not text, or a password."""
    return [text_of(conceal(reason)).replace("\0", r"\x00") for reason in reasons]


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: 1, 2, 4, … up to five minutes."""
    return min(2.0 ** max(attempts - 1, 0), LONGEST_WAIT)


def record_refusal(work: Work, reasons: Sequence[str]) -> None:
    """Record that the whole arrival failed. The caller then moves it beside its reason."""
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
