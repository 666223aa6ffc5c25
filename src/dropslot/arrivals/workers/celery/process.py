"""A worker process of Celery: one at a time, in this very process, as the local workers do. Whatever a message says, it
works on nothing that the database does not give it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from dropslot.arrivals.delivery import staged_checks
from dropslot.arrivals.delivery.timing import traces
from dropslot.arrivals.upkeep import database
from dropslot.arrivals.workers import holder, local
from dropslot.arrivals.workers.celery import tasks
from dropslot.broker import queues
from dropslot.broker.client import client
from dropslot.config import Config
from dropslot.running import board
from dropslot.running.stopping import Signal

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
_TICK_SECONDS = 0.5
_AGAIN_SECONDS = 5.0


def run(config: Config, told: Signal, routes: Sequence[str] = ()) -> None:
    """Work on what the queues of these routes (none: of all, and what belongs to no route) announce, until `told`.

    The present batch is finished. While the broker is away it tries to reach it again and again. Raises DatabaseNewer
    between batches.
    """
    with staged_checks.helpers(), holder.holding(config.data) as worker, local.renewing(config, worker):
        app = client(config)
        take_up_again = tasks.register(app, config, worker, told, routes)
        names = [queues.name_of(route) for route in routes or config.routes]
        log.info("Worker started", action="worker_started", worker=worker)
        _consume(app, names if routes else [*names, queues.UPKEEP], worker, told, take_up_again)
        traces.end()
        if newer := database.found_newer():
            raise newer
        log.info("Worker stopped", action="worker_stopped", worker=worker)


def _consume(
    app: Celery, names: Sequence[str], worker: str, told: Signal, take_up_again: Callable[[], None]
) -> None:
    from celery.worker import state

    state_of_worker: Any = state

    def stop(*_: object) -> None:
        told.set()
        state_of_worker.should_stop = 0  # Celery looks at it between tasks, and while it waits for the broker

    signal.signal(signal.SIGTERM, stop)

    again_at = 0.0

    def tick() -> None:
        nonlocal again_at
        board.mine().holds(0)
        if told.is_set() or database.found_newer():
            stop()
        elif time.monotonic() >= again_at:
            take_up_again()
            again_at = time.monotonic() + _AGAIN_SECONDS

    app.steps["consumer"].add(_ticking(tick))
    # No pool of processes: the service starts each that ends again, and a lost connection interrupts no delivery.
    controller = app.WorkController(
        pool="solo",
        concurrency=1,
        queues=list(names),
        hostname=f"dropslot@{worker}",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    if told.is_set():
        return
    controller.start()


def _ticking(tick: Callable[[], object]) -> type[Any]:
    """A step of Celery's consumer that calls `tick` as long as there is a connection and no task runs. It also keeps
    the loop awake, so that a stop need not wait for a message."""
    from celery import bootsteps

    class Ticking(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            consumer.timer.call_repeatedly(_TICK_SECONDS, tick)
            consumer.timer.call_repeatedly(_TICK_SECONDS, _require_place, (consumer,))

    return Ticking


def _require_place(consumer: Any) -> None:
    """Raise ConnectionError, after which Celery connects again, if the message of work that ended still has the one
    place there is.

    When the broker goes away during the work, the acknowledgment fails. With Redis, Celery then keeps the place for
    ever, and takes no other message. No work is under way when this is asked, so each place must be free.
    """
    qos = getattr(consumer.task_consumer.channel, "qos", None)  # RabbitMQ ends such a connection itself
    if qos is not None and not qos.can_consume():
        raise ConnectionError("the last message could not be acknowledged")
