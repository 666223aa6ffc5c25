"""A worker process: takes batches, delivers them, renews its leases meanwhile."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import structlog
from django.db import DatabaseError, close_old_connections, connections

from dropslot.arrivals.delivery import checking, pipeline
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.notify import after
from dropslot.arrivals.upkeep import latewrites
from dropslot.arrivals.workers import holder, leases
from dropslot.config import Config
from dropslot.files.descriptors import allow_many_files
from dropslot.running.stopping import Signal

log = structlog.get_logger()
IDLE_SECONDS = 1.0


class Hint:
    """Tells another process that there may be work. Workers also look by themselves."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def announce(self, ids: Sequence[str]) -> None:
        """Wake workers, for arrivals that can be taken now; never waits."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"." * min(len(ids), 64))

    def wait(self, stop: Signal, seconds: float) -> None:
        """Until a hint or a stop comes, at most `seconds`."""
        if self._reader in select.select([self._reader, stop.fileno()], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 1)


@contextlib.contextmanager
def renewing(config: Config, worker: str) -> Iterator[None]:
    """Keep the worker's leases renewed during the block."""
    allow_many_files()
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(config, worker, stop), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _renew(config: Config, worker: str, stop: threading.Event) -> None:
    while not stop.wait(config.lease.total_seconds() / 3):
        try:
            leases.renew_leases(worker, config.lease)
            after.renew(worker, config.lease)
        except DatabaseError as error:
            # The lease may run out then, and another worker take over: safe, since this one's epoch is over with it.
            log.warning(
                "A lease could not be renewed", action="lease_not_renewed", worker=worker, error=str(error)
            )
            close_old_connections()
    connections.close_all()


def deliver_batch(config: Config, worker: str) -> list[Arrival]:
    """Take and deliver one batch, and return it. Empty: there was nothing to do."""
    batch = leases.take_next(worker, config.lease, partial(holder.is_dead, config.data))
    if batch:
        pipeline.deliver_arrivals(config, batch)
    return batch


def deliver_once(config: Config, worker: str) -> bool:
    """Take and deliver one batch, or compare arrivals that were read without a lease. False: there was nothing to
    do."""
    return bool(deliver_batch(config, worker)) or latewrites.look_due(config)


def run(config: Config, hint: Hint, stop: Signal, work: Callable[[Config, str], bool] = deliver_once) -> None:
    """Do one kind of work until `stop`. The present batch is finished; a killed worker's batch is taken over."""
    with checking.helpers(), holder.holding(config.data) as worker, renewing(config, worker):
        log.info("Worker started", action="worker_started", worker=worker)
        while not stop.is_set():
            try:
                busy = work(config, worker)
            except DatabaseError as error:
                log.warning(
                    "The database does not answer; retried in a second",
                    action="database_unavailable",
                    error=str(error),
                )
                connections.close_all()
                busy = False
            if not busy:
                hint.wait(stop, IDLE_SECONDS)
        log.info("Worker stopped", action="worker_stopped", worker=worker)
