"""Tells Celery's workers which arrivals may be due. It never makes the watcher wait: a thread sends the messages, and
what it cannot send is forgotten. The sweep sends it later."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.arrivals.delivery import guarded_writes
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import leases
from dropslot.arrivals.workers.celery import messages
from dropslot.broker import queues
from dropslot.broker.client import BrokerAway, client, send
from dropslot.broker.queue_lengths import waiting
from dropslot.broker.queues import Urgency
from dropslot.config import Config
from dropslot.core.showing.quantities import chunks
from dropslot.core.states import State

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
_WAITING = 1000  # announcements that wait to be sent; more are left to the sweep
_AWAY_SECONDS = 2.0
MOST_WAITING = (
    2000  # messages of a route; what comes besides is announced by the sweep once the queue is empty
)
_COUNT_EVERY = 100  # announcements

Announce = Callable[[Sequence[str]], None]


@contextmanager
def announcing(config: Config) -> Iterator[Announce]:
    """A function that announces arrivals, and never waits."""
    backlog: queue.Queue[Sequence[str] | None] = queue.Queue(_WAITING)
    stop = threading.Event()
    thread = threading.Thread(target=_send_all, args=(config, backlog, stop), name="announcer", daemon=True)
    thread.start()

    def announce(ids: Sequence[str]) -> None:
        with suppress(queue.Full):
            backlog.put_nowait(ids)

    try:
        yield announce
    finally:
        stop.set()
        with suppress(queue.Full):
            backlog.put_nowait(None)
        thread.join(_AWAY_SECONDS)


def _send_all(config: Config, backlog: queue.Queue[Sequence[str] | None], stop: threading.Event) -> None:
    app = client(config, sends_only=True)
    bounds = Bounds(app, config)
    while not stop.is_set():
        ids = list(backlog.get() or ())
        while not backlog.empty() and len(ids) < messages.MOST:
            ids += backlog.get() or ()
        if not _is_sent(app, config, ids, bounds):
            stop.wait(_AWAY_SECONDS)
            _empty(backlog)
    connections.close_all()


def _is_sent(app: Celery, config: Config, ids: Sequence[str], bounds: Bounds) -> bool:
    try:
        return send_ids(app, config, ids, bounds)
    except Exception:
        log.exception("Arrivals could not be announced; the sweep does it", action="announcer_failed")
        return False


def _empty(backlog: queue.Queue[Sequence[str] | None]) -> None:
    with suppress(queue.Empty):
        while True:
            backlog.get_nowait()


class Bounds:
    """Which routes have so many messages that no more are needed. The queues are counted from time to time."""

    def __init__(self, app: Celery, config: Config) -> None:
        self._app, self._config = app, config
        self._announced = 0
        self._full: frozenset[str] = frozenset()

    def admit(self, rows: Sequence[Arrival]) -> list[Arrival]:
        """Those of the rows whose route may get messages. Raises BrokerAway."""
        self._announced += 1
        if self._announced % _COUNT_EVERY == 0:
            counts = waiting(self._app, self._config, self._config.routes)
            self._full = frozenset(route for route, count in counts.items() if count >= MOST_WAITING)
        return [row for row in rows if row.route not in self._full]


def send_ids(app: Celery, config: Config, ids: Sequence[str], bounds: Bounds) -> bool:
    """Announce those of these arrivals that wait for a worker. False: broker or database did not answer, which is
    logged."""
    try:
        rows = list(Arrival.objects.filter(id__in=ids, state__in=(State.READY, State.RETRYING)))
        send_rows(app, config, bounds.admit(rows))
    except BrokerAway as error:
        log.warning(
            f"{error}. What it would have announced is announced again later", action="broker_unavailable"
        )
    except (DatabaseError, InterfaceError) as error:
        log.warning(
            "The database does not answer; arrivals are announced when it does",
            action="database_unavailable",
            error=str(error),
        )
        connections.close_all()
    else:
        return True
    return False


def send_rows(app: Celery, config: Config, rows: Sequence[Arrival]) -> None:
    """Send messages that name these arrivals: small ones together, each large one alone. Raises BrokerAway."""

    def kind(row: Arrival) -> tuple[str, Urgency, bool]:
        return row.route, urgency_of(row), leases.is_alone(row)

    known = [row for row in rows if row.route in config.routes]
    for (route, urgency, alone), alike in groupby(sorted(known, key=kind), key=kind):
        # Few in each, so that a burst wakes all workers; and one, if a worker takes it alone.
        for some in chunks([row.id for row in alike], 1 if alone else leases.LEAST):
            send_hint(app, config, route, some, urgency)


def send_hint(app: Celery, config: Config, route: str, arrivals: Sequence[str], urgency: Urgency) -> None:
    """One message. Raises BrokerAway."""
    send(
        app,
        queues.DELIVER,
        kwargs=messages.written(route, arrivals),
        queue=queues.name_of(route),
        priority=queues.priority(config, urgency),
    )


def urgency_of(row: Arrival) -> Urgency:
    """Whether a worker takes it alone."""
    is_large = (row.size_bytes or 0) > guarded_writes.ALONE_BYTES or (
        row.items or 0
    ) > guarded_writes.ALONE_ITEMS
    return Urgency.LARGE if is_large else Urgency.SMALL


def announce_shares(config: Config, arrival: Arrival, shares: int) -> None:
    """Send as many messages as a large arrival has shares: each wakes a worker that has nothing more urgent to do.
    Never waits; if the broker is away, the holder of the arrival stages what nobody else does."""
    threading.Thread(
        target=_send_shares, args=(config, arrival, shares), name="share-announcer", daemon=True
    ).start()


def _send_shares(config: Config, arrival: Arrival, shares: int) -> None:
    try:
        app = client(config, sends_only=True)
        for _ in range(shares):
            send_hint(app, config, arrival.route, [arrival.id], Urgency.LARGE)
    except BrokerAway as error:
        log.warning(f"{error}. Fewer workers help with a large arrival", action="broker_unavailable")
