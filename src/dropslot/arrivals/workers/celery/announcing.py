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
from django.db import DatabaseError, connections

from dropslot.arrivals.delivery import ledger
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import leases
from dropslot.arrivals.workers.celery import messages
from dropslot.broker import queues
from dropslot.broker.client import BrokerAway, client, send
from dropslot.broker.queues import Urgency
from dropslot.config import Config
from dropslot.core.showing.counting import chunks
from dropslot.core.states import State

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
_WAITING = 1000  # announcements that wait to be sent; more are left to the sweep
_AWAY_SECONDS = 2.0

Announce = Callable[[Sequence[str]], None]


@contextmanager
def announcing(config: Config) -> Iterator[Announce]:
    """A function that announces arrivals, and never waits."""
    waiting: queue.Queue[Sequence[str] | None] = queue.Queue(_WAITING)
    stop = threading.Event()
    thread = threading.Thread(target=_send_all, args=(config, waiting, stop), name="announcer", daemon=True)
    thread.start()

    def announce(ids: Sequence[str]) -> None:
        with suppress(queue.Full):
            waiting.put_nowait(ids)

    try:
        yield announce
    finally:
        stop.set()
        with suppress(queue.Full):
            waiting.put_nowait(None)
        thread.join(_AWAY_SECONDS)


def _send_all(config: Config, waiting: queue.Queue[Sequence[str] | None], stop: threading.Event) -> None:
    app = client(config, sends_only=True)
    while not stop.is_set():
        ids = list(waiting.get() or ())
        while not waiting.empty() and len(ids) < messages.MOST:
            ids += waiting.get() or ()
        if not send_ids(app, config, ids):
            stop.wait(_AWAY_SECONDS)
            _empty(waiting)
    connections.close_all()


def _empty(waiting: queue.Queue[Sequence[str] | None]) -> None:
    with suppress(queue.Empty):
        while True:
            waiting.get_nowait()


def send_ids(app: Celery, config: Config, ids: Sequence[str]) -> bool:
    """Announce those of these arrivals that wait for a worker. False: broker or database did not answer, which is
    logged."""
    try:
        rows = list(Arrival.objects.filter(id__in=ids, state__in=(State.READY, State.RETRYING)))
        send_rows(app, config, rows)
    except BrokerAway as error:
        log.warning(
            f"{error} What it would have announced is announced again later", action="broker_unavailable"
        )
    except DatabaseError as error:
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

    def kind(row: Arrival) -> tuple[str, Urgency]:
        return row.route, urgency_of(row)

    known = [row for row in rows if row.route in config.routes]
    for (route, urgency), alike in groupby(sorted(known, key=kind), key=kind):
        # Few in each, so that a burst wakes all workers.
        for some in chunks([row.id for row in alike], leases.LEAST if urgency is Urgency.SMALL else 1):
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
    is_large = (row.size_bytes or 0) > ledger.ALONE_BYTES or (row.items or 0) > ledger.ALONE_ITEMS
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
        log.warning(f"{error} Fewer workers help with a large arrival", action="broker_unavailable")
