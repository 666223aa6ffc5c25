"""Who holds an arrival: it is taken for a time, under the next epoch, and the lease is renewed during the work.

The database's clock decides on leases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now

from dropslot.arrivals.delivery import guarded_writes
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import shares_of_routes
from dropslot.arrivals.workers.shares_of_routes import Limits, Rooms
from dropslot.audit import locks
from dropslot.audit.chain import Entry, append
from dropslot.audit.event_payloads import Started
from dropslot.audit.kinds import Kind, entry
from dropslot.core.context import kept
from dropslot.core.states import State

BATCH = 128
LEAST = 16  # small ones that a message is worth
MANY_ATTEMPTS = 3
FEW = 8
# Up to so many attempts, with how many others: the workers of a whole batch may have been killed for another reason.
_TOGETHER = ((2, BATCH), (4, FEW))
# As `is_alone`, the other way round.
_SMALL = (
    (Q(size_bytes__isnull=True) | Q(size_bytes__lte=guarded_writes.ALONE_BYTES))
    & (Q(items__isnull=True) | Q(items__lte=guarded_writes.ALONE_ITEMS))
    & Q(attempts__lte=_TOGETHER[-1][0])
)
# Events after which there may be an arrival to take, now or at another time than before.
BRINGS_WORK = (
    Kind.CLAIMED,
    Kind.RETRYING,
    Kind.GIVEN_BACK,
    Kind.RELEASED,
    Kind.RETRY_ASKED,
    Kind.EPOCH_ADOPTED,
    Kind.WRITTEN_SINCE,
)


def takeable(worker: str, is_dead: Callable[[str], bool]) -> QuerySet[Arrival]:
    """Arrivals that `worker` may take now: due ones, its own unfinished ones, and those whose holder is dead or
    late."""
    holders = Arrival.objects.filter(state=State.PROCESSING).exclude(worker=worker)
    dead = [name for name in holders.order_by().values_list("worker", flat=True).distinct() if is_dead(name)]
    # No wait is that long: a later due time was written before the clock was set back.
    set_back = Q(due_at__gt=Now() + timedelta(seconds=2 * guarded_writes.LONGEST_WAIT))
    due = Q(due_at__isnull=True) | Q(due_at__lte=Now()) | set_back
    waiting = Q(state__in=(State.READY, State.RETRYING), held_at__isnull=True) & due
    # An arrival that killed its workers again and again waits for its lease: taken at once, it would leave no worker
    # for others.
    left = Q(worker=worker) | Q(worker__in=dead, attempts__lte=MANY_ATTEMPTS)
    orphaned = Q(state=State.PROCESSING) & (Q(lease_until__lte=Now()) | left)
    # These two are implied. They are what the small index is of.
    rows = Arrival.objects.filter(waiting | orphaned, finished_at__isnull=True, held_at__isnull=True)
    # By rank, which is fair between the senders of a route; those of one rank as they are planned.
    return rows.order_by("rank", "dropped_at", "id")


def take_announced(
    arrivals: Sequence[str],
    route: str,
    worker: str,
    lease: timedelta,
    is_dead: Callable[[str], bool],
    elsewhere: Collection[str] = (),
) -> list[Arrival]:
    """Take what a queue's message announces: a large one that it names, else the next small ones of that route by
    rank, so that messages about one sender's backlog keep no other sender waiting, else a large one, whose own message
    may be lost. None is named: the next batch of the route. Empty, cheaply, if nothing is due, so messages may come
    twice, late or without need."""
    due = takeable(worker, is_dead).filter(route=route)
    due = due.exclude(inbox__in=elsewhere) if elsewhere else due
    if not arrivals:
        return _take(due, [due], worker, lease, routes=[route])
    large, small = due.filter(id__in=arrivals).exclude(_SMALL), due.filter(_SMALL)
    # Half of what waits: the other half is for workers that other messages wake at the same time.
    half = small.order_by()[: 2 * BATCH].count() // 2
    taken = _take(due, [large, small], worker, lease, max(half, LEAST), [route])
    return taken or _take(due, [due], worker, lease, 1, [route])


def take_next(
    worker: str,
    lease: timedelta,
    is_dead: Callable[[str], bool],
    limit: int = BATCH,
    elsewhere: Collection[str] = (),
) -> list[Arrival]:
    """Take a batch for `worker`: one commit. Each arrival gets the next epoch; the caller then removes what older
    epochs staged. Empty when there is nothing to do, without having taken the write lock. `elsewhere`: inboxes whose
    arrivals this machine does not have."""
    rows = takeable(worker, is_dead)
    due = rows.exclude(inbox__in=elsewhere) if elsewhere else rows
    return _take(due, [due], worker, lease, limit)


def take_small(
    worker: str,
    lease: timedelta,
    is_dead: Callable[[str], bool],
    routes: Collection[str] | None,
    elsewhere: Collection[str] = (),
) -> list[Arrival]:
    """Like `take_next`, but nothing that is known to be large or that failed before, and nothing that `worker` holds
    already. `routes`: only of these; None: of all."""
    rows = takeable(worker, is_dead).exclude(state=State.PROCESSING, worker=worker)
    rows = rows.exclude(inbox__in=elsewhere) if elsewhere else rows
    rows = rows if routes is None else rows.filter(route__in=routes)
    small = rows.filter(_SMALL)
    return _take(small, [small], worker, lease)


def take_own(worker: str, lease: timedelta) -> list[Arrival]:
    """Take up again what `worker` holds although it works on nothing: when the database went away, the outcome could
    not be recorded, or the taking seemed to have failed."""
    own = Arrival.objects.filter(state=State.PROCESSING, worker=worker, finished_at__isnull=True)
    own = own.order_by("rank", "dropped_at", "name", "id")
    return _take(own, [own], worker, lease)


def _take(
    any_of: QuerySet[Arrival],
    candidates: Sequence[QuerySet[Arrival]],
    worker: str,
    lease: timedelta,
    limit: int = BATCH,
    routes: Sequence[str] = (),
) -> list[Arrival]:
    """If `any_of` has any, a batch of the first candidates, filled with the next ones."""
    if not any_of.exists():
        return []
    with transaction.atomic():
        rooms = _rooms(any_of)
        chosen: list[Arrival] = []
        for some in candidates:
            if len(chosen) < limit and not any(map(is_alone, chosen)):
                known = [arrival.id for arrival in chosen]
                rows = some.exclude(id__in=known) if known else some
                chosen += _batch(shares_of_routes.fair(rows, limit - len(known), rooms, routes))
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


def _rooms(takeable_now: QuerySet[Arrival]) -> Rooms:
    """What there is room for, by the limits that are in force. What nobody works on any more takes none."""
    limits = kept(Limits)
    if not limits:
        return limits.rooms(())
    _become_only_taker()
    orphaned = takeable_now.filter(state=State.PROCESSING).values("pk")
    at_work = Arrival.objects.filter(state=State.PROCESSING).exclude(pk__in=orphaned).order_by()
    return limits.rooms(at_work.values_list("route").annotate(count=Count("pk")))


def _become_only_taker() -> None:
    """Two workers that count at the same time would both take the last place. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [locks.TAKING])


def _batch(candidates: Iterable[Arrival]) -> list[Arrival]:
    """The longest beginning of the queue that makes one batch: small ones together, a large one alone. One that failed
    before comes with fewer others, and at last alone, so that it cannot delay others again and again."""
    batch: list[Arrival] = []
    most = BATCH
    for arrival in candidates:
        most = min(most, _together(arrival))
        if len(batch) >= most:
            break
        batch.append(arrival)
    return batch


def is_alone(arrival: Arrival) -> bool:
    """Whether a worker takes nothing else together with it."""
    return _together(arrival) == 1


def _together(arrival: Arrival) -> int:
    """With how many a worker takes it, itself included."""
    if (arrival.size_bytes or 0) > guarded_writes.ALONE_BYTES or (
        arrival.items or 0
    ) > guarded_writes.ALONE_ITEMS:
        return 1
    return next((most for attempts, most in _TOGETHER if arrival.attempts <= attempts), 1)


def _started(arrival: Arrival, worker: str) -> Entry:
    data: Started = {"attempt": arrival.attempts, "epoch": arrival.epoch, "worker": worker}
    if arrival.state == State.PROCESSING:
        return entry(Kind.TAKEN_OVER, arrival.id, data)
    return entry(Kind.STARTED, arrival.id, data)


def renew_leases(worker: str, lease: timedelta) -> None:
    """Renew the leases of all arrivals that `worker` holds."""
    Arrival.objects.filter(state=State.PROCESSING, worker=worker).update(lease_until=Now() + lease)
