"""The calls after a delivery: the route's `after` function and the signal `arrival_done`, retried apart from the
delivery. A reader of the outbox: each `delivered` event that needs a call becomes a row, in the transaction that
moves the reader's position. Then the calls are made, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from functools import partial
from typing import Any

import structlog
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from structlog.contextvars import bound_contextvars

from dropslot.arrivals.delivery import guarded_writes
from dropslot.arrivals.models import AfterCall, Arrival
from dropslot.arrivals.signals import arrival_done
from dropslot.audit import outbox
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.config import Config, load_dotted
from dropslot.config.mistakes import blame
from dropslot.core.errors import DropslotError

log = structlog.get_logger()
READER = "after"
BRINGS_WORK = (Kind.DELIVERED, Kind.AFTER_ASKED)  # events after which there may be a call to make


class AfterFailed(DropslotError):
    """A route's `after` function, or a receiver of the signal, failed; it is called again."""

    code = "after-failed"
    retryable = True


def listen(config: Config) -> None:
    """Called at the start of the service or a drain. From then on each delivery gets its call, as long as a route has
    `after` or the signal has a receiver. Earlier deliveries get no call."""
    if arrival_done.has_listeners() or _routes(config):
        outbox.begin(READER)
    else:
        outbox.end(READER)


def _routes(config: Config) -> list[str]:
    return [key for key, route in config.routes.items() if route.after]


def call_due(config: Config, worker: str) -> bool:
    """Make the calls that are due, one after another. False: there were none. A call belongs to `worker` as long as
    its lease is renewed, so it may take hours. If the worker dies, the call is due again when the lease expires.
    """
    new = outbox.read(READER, partial(_queue, config), kinds=[Kind.DELIVERED])
    due = list(AfterCall.objects.filter(due_at__isnull=False, due_at__lte=Now()).order_by("due_at")[:16])
    for call in due:
        _call(config, worker, call)
    return bool(new or due)


def _queue(config: Config, delivered: Sequence[Event]) -> None:
    wanting = _wanting(config, [event.arrival for event in delivered])
    AfterCall.objects.bulk_create([AfterCall(arrival=arrival, due_at=Now()) for arrival in wanting])


def _wanting(config: Config, ids: Sequence[str] | QuerySet[Any]) -> QuerySet[Arrival]:
    """The delivered arrivals that need a call; the oldest first."""
    rows = Arrival.objects.filter(id__in=ids).order_by("id")
    return rows if arrival_done.has_listeners() else rows.filter(route__in=_routes(config))


def renew(worker: str, lease: timedelta) -> None:
    """Renew the lease of the call that `worker` makes."""
    AfterCall.objects.filter(due_at__isnull=False, worker=worker).update(due_at=Now() + lease)


def _call(config: Config, worker: str, call: AfterCall) -> None:
    due = AfterCall.objects.filter(arrival_id=call.arrival_id, attempts=call.attempts, due_at__lte=Now())
    if due.update(attempts=F("attempts") + 1, due_at=Now() + config.lease, worker=worker) != 1:
        return  # another worker calls it
    with bound_contextvars(arrival=call.arrival_id):
        _call_now(config, worker, call)


def _call_now(config: Config, worker: str, call: AfterCall) -> None:
    this = AfterCall.objects.filter(arrival_id=call.arrival_id, attempts=call.attempts + 1, worker=worker)
    try:
        run(config, call.arrival)
    except AfterFailed as failure:
        wait = guarded_writes.backoff(call.attempts + 1)
        this.update(due_at=Now() + timedelta(seconds=wait), error=failure.what, worker="")
        log.warning(
            f"The call after a delivery failed; it is called again in {wait:.0f} s",
            action="after_failed",
            error=failure.what,
        )
    else:
        this.update(due_at=None, error="", worker="")


def run(config: Config, arrival: Arrival) -> None:
    """Call the hook with the finished arrival, then send the signal. Raises AfterFailed."""
    route = config.routes.get(arrival.route)
    if route is not None and route.after_task:
        _send_task(config, route.after_task, arrival)
    if route is not None and route.after_function:
        _call_hook(route.after_function, arrival)
    for receiver, answer in arrival_done.send_robust(sender=Arrival, arrival=arrival):
        if isinstance(answer, Exception):
            title = getattr(receiver, "__qualname__", type(receiver).__qualname__)
            raise AfterFailed(
                f"{title}, which listens to arrival_done, failed: {blame.in_words(answer)}"
            ) from answer


def _call_hook(dotted: str, arrival: Arrival) -> None:
    try:
        load_dotted(dotted)(arrival)
    except SystemExit as end:
        # The function may call sys.exit, as a program does: that must not end this process.
        if end.code not in (None, 0):
            raise AfterFailed(f"{dotted} failed: {blame.in_words(end)}") from end
    except Exception as error:
        raise AfterFailed(f"{dotted} failed: {blame.in_words(error)}") from error


def _send_task(config: Config, name: str, arrival: Arrival) -> None:
    """With the arrival's id as its argument and in the id of the message: a repeated call is recognized by it."""
    from dropslot.broker.client import BrokerAway, send_to_others

    try:
        send_to_others(config, name, arrival.id)
    except BrokerAway as error:
        raise AfterFailed(f"The task {name} could not be sent: {error.what}") from error


def outstanding(config: Config) -> list[AfterCall]:
    """Calls that are still to be made or repeated; the oldest first. Includes deliveries that the reader has not
    seen yet."""
    unread = outbox.unread(READER, [Kind.DELIVERED]).values("arrival")
    return [*_due(), *(AfterCall(arrival=arrival) for arrival in _wanting(config, unread.order_by()))]


def _due() -> QuerySet[AfterCall]:
    return AfterCall.objects.filter(due_at__isnull=False).select_related("arrival").order_by("arrival_id")


def failing() -> QuerySet[AfterCall]:
    """Calls that failed last time and are not running now; the oldest first."""
    return _due().filter(worker="").exclude(error="")


def call_again(arrival: Arrival) -> bool:
    """Make a failed call due at once. False: there is none."""
    return bool(AfterCall.objects.filter(pk__in=failing().filter(arrival=arrival)).update(due_at=Now()))


def in_words(call: AfterCall) -> str:
    """Why a call is still to be made."""
    if call.worker:
        again = f", for the {ordinal(call.attempts)} time; the last time {call.error}" if call.error else ""
        return f"the function after the delivery is being called{again}"
    if not call.error:
        return "the function after the delivery is still to be called"
    times = "once" if call.attempts == 1 else f"{call.attempts} times"
    due = f"{call.due_at.astimezone(UTC):%H:%M:%S} UTC" if call.due_at else "the next start"
    return f"{call.error}. The arrival is delivered; this was called {times}, and is called again at {due}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
