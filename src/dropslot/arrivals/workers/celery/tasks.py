"""The tasks that dropslot's workers know. Their names are stable: `broker.queues`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.arrivals.workers import elsewhere, holder, leases, local
from dropslot.arrivals.workers.celery import announcing, messages, schedules
from dropslot.broker import queues
from dropslot.config import Config
from dropslot.running.stopping import Signal

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()


def register(
    app: Celery, config: Config, worker: str, told: Signal, routes: Sequence[str] = ()
) -> Callable[[], None]:
    """Make the tasks known to a worker's app, which works on these routes (none: on all). A task never fails: what it
    could not do stays due in the database. Returns what is to be called while no task runs: no message would come for
    an arrival that this worker still holds."""
    announce = partial(announcing.announce_shares, config)
    delivering = local.Delivering(config, worker, announce, told.is_set, routes or None)

    def deliver(task: Any, *_: Any, **keywords: Any) -> None:
        if (task.request.delivery_info or {}).get("redelivered"):
            log.info("A message came again; what it names is taken once", action="message_came_again")
        _guarded(config, lambda: _deliver(config, delivering, keywords))

    known = schedules.schedules(config)

    def scheduled(*_: Any, **keywords: Any) -> None:
        if (found := known.get(str(keywords.get("name")))) is None:
            log.warning("A message is ignored: no schedule has its name", action="message_unreadable")
        else:
            _guarded(config, lambda: found.body(told))

    app.task(name=queues.DELIVER, shared=False, bind=True)(deliver)
    app.task(name=queues.SCHEDULED, shared=False)(scheduled)
    return lambda: _guarded(config, delivering.take_up_again)


def _deliver(config: Config, delivering: local.Delivering, keywords: dict[str, Any]) -> None:
    try:
        named = messages.read(keywords, config.routes)
    except messages.Unreadable as error:
        log.warning("A message is ignored", action="message_unreadable", reason=str(error))
    else:
        deliver_named(config, delivering, named)


def deliver_named(config: Config, delivering: local.Delivering, named: messages.Named) -> bool:
    """Take what is due of it and deliver it; if nothing is, stage a share of a large arrival. False: there was nothing
    to do."""
    is_dead = partial(holder.is_dead, config.data)
    batch = leases.take_announced(
        named.arrivals, named.route, delivering.worker, config.lease, is_dead, elsewhere.inboxes(config)
    )
    return delivering.deliver(batch) or delivering.help_once()


def _guarded(config: Config, work: Callable[[], object]) -> None:
    try:
        with _limited(config):
            work()
    except (DatabaseError, InterfaceError) as error:
        log.warning(
            "The database does not answer; what was to be done is announced again",
            action="database_unavailable",
            error=str(error),
        )
        connections.close_all()


@contextmanager
def _limited(config: Config) -> Iterator[None]:
    """Kill this process if the block takes longer than `time_limit`: what hangs can be ended in no other way. Its lock
    is free then, and another worker takes over under the next epoch."""
    if config.time_limit is None:
        yield
        return
    timer = threading.Timer(config.time_limit.total_seconds(), _kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill() -> None:
    log.error("The time limit is over; this worker ends, and another one continues", action="time_limit")
    os.kill(os.getpid(), signal.SIGKILL)
