"""A worker process: takes batches, delivers them, renews its leases meanwhile."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.arrivals.crew import ALONE, Crew
from dropslot.arrivals.delivery import pipeline, staged_checks
from dropslot.arrivals.delivery.shares import helping
from dropslot.arrivals.delivery.shares.helping import Helper
from dropslot.arrivals.delivery.timing import traces
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.outbox_readers.for_senders import handing_out
from dropslot.arrivals.upkeep import database, latewrites
from dropslot.arrivals.workers import due, elsewhere, holder, leases
from dropslot.arrivals.workers.between import Between
from dropslot.arrivals.workers.shares_of_routes import Limits
from dropslot.audit.event_wakeups import Ear
from dropslot.audit.kinds import Kind
from dropslot.config import Config
from dropslot.core import context
from dropslot.files.descriptors import allow_many_files
from dropslot.running import board
from dropslot.running.stopping import Signal

log = structlog.get_logger()
IDLE_SECONDS = 1.0
LISTENING_SECONDS = 15.0  # where PostgreSQL wakes us: a notification may be lost with its connection


class Hint:
    """Tells another process that there may be work. Workers also look by themselves."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def announce(self, ids: Sequence[str]) -> None:
        """Wake workers, for arrivals that can be taken now; never waits."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"." * min(len(ids), 64))

    def wait(self, stop: Signal, ear: Ear, seconds: float) -> None:
        """Until a hint, an event or a stop comes, at most `seconds`. Raises DatabaseError."""
        ear.wait([self._reader, stop], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 1)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work. `do` does some of it, and returns False if there was none; `kinds` of events bring more of it;
    `seconds` asks how long there will be none without any event."""

    do: Callable[[Config, str], bool]
    kinds: Collection[Kind]
    seconds: Callable[[], float]


@contextlib.contextmanager
def renewing(config: Config, worker: str) -> Iterator[None]:
    """Keep the worker's leases renewed during the block, and the limits of destinations in force."""
    allow_many_files()
    context.put(Limits(config))
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
        board.mine().pulse()  # it may be busy for hours
        try:
            leases.renew_leases(worker, config.lease)
            after.renew(worker, config.lease)
            helping.renew(worker, config)
        except (DatabaseError, InterfaceError) as error:
            # The lease may run out then, and another worker take over: safe, since this one's epoch is over with it.
            log.warning(
                "A lease could not be renewed", action="lease_not_renewed", worker=worker, error=str(error)
            )
            connections.close_all()
    connections.close_all()


def take_batch(config: Config, worker: str) -> list[Arrival]:
    """The arrivals that are due first. Empty: there are none."""
    is_dead = partial(holder.is_dead, config.data)
    return leases.take_next(worker, config.lease, is_dead, elsewhere=elsewhere.inboxes(config))


def deliver_batch(config: Config, worker: str) -> list[Arrival]:
    """Take and deliver one batch, and return it. Empty: there was nothing to do."""
    if batch := take_batch(config, worker):
        deliver_taken(config, worker, batch)
    return batch


def deliver_taken(config: Config, worker: str, batch: Sequence[Arrival], crew: Crew = ALONE) -> None:
    """Deliver a batch that this worker took, and count it on the board."""
    log.debug("Taken", action="taken", worker=worker, arrivals=[arrival.id for arrival in batch])
    begun = board.mine().begin()
    try:
        pipeline.deliver_arrivals(config, batch, crew)
    finally:
        board.mine().end(begun, len(batch))


class Delivering:
    """What one worker delivers: arrivals, and shares of large ones that others hold. `announce` wakes other workers for
    shares. `routes`: only of these; None: of all."""

    def __init__(
        self,
        config: Config,
        worker: str,
        announce: Callable[[Arrival, int], None] | None,
        is_stopped: Callable[[], bool],
        routes: Collection[str] | None = None,
    ) -> None:
        self.worker = worker
        self._config = config
        self._between = Between(config, worker, is_stopped, routes)
        self._helper = Helper(config, worker, self._between, routes)
        is_dead = partial(holder.is_dead, config.data)
        self._crew = Crew(self._between, announce, worker=worker, is_dead=is_dead)

    def deliver(self, batch: Sequence[Arrival]) -> bool:
        """Deliver a batch that this worker has just taken. False: it is empty."""
        if batch:
            self._helper.settle()
            self._between.begin()
            deliver_taken(self._config, self.worker, batch, self._crew)
        return bool(batch)

    def take_up_again(self) -> None:
        """Go on, between two pieces of work, with what was left when the database went away."""
        self._helper.settle()
        self.deliver(leases.take_own(self.worker, self._config.lease))

    def help_once(self) -> bool:
        """Stage a share of a large arrival. False: there was none."""
        self._between.begin()
        return self._helper.help_once()

    def do_once(self) -> bool:
        """Do the most urgent work; if there is none, compare arrivals that were read without a lease. False: there was
        nothing to do."""
        batch = take_batch(self._config, self.worker)
        return self.deliver(batch) or self.help_once() or self._compare()

    def _compare(self) -> bool:
        return latewrites.look_due(self._config, elsewhere.inboxes(self._config))


CALLING = Work(after.call_due, after.BRINGS_WORK, due.until_calls)
HANDING_OUT = Work(handing_out.hand_out_due, handing_out.BRINGS_WORK, due.until_receipts)


def deliver(config: Config, hint: Hint, stop: Signal) -> None:
    """Deliver until `stop`. The present batch is finished; a killed worker's batch is taken over."""

    def announce(arrival: Arrival, shares: int) -> None:
        hint.announce([arrival.id] * shares)

    has_others = config.worker_count > 1 or config.database != "sqlite"  # of other machines
    begin = cache(lambda worker: Delivering(config, worker, announce if has_others else None, stop.is_set))
    do = Work(lambda _, worker: begin(worker).do_once(), leases.BRINGS_WORK, due.until_arrivals)
    run(config, hint, stop, do)


def run(config: Config, hint: Hint, stop: Signal, work: Work) -> None:
    """Do one kind of work until `stop`. What is under way is finished. Raises DatabaseNewer between two pieces."""
    with staged_checks.helpers(), holder.holding(config.data) as worker, renewing(config, worker):
        log.info("Worker started", action="worker_started", worker=worker)
        ear = Ear(work.kinds)
        while not stop.is_set():
            try:
                database.require_not_newer()
                if not work.do(config, worker):
                    board.mine().holds(0)
                    hint.wait(stop, ear, _idle_seconds(work, ear))
            except (DatabaseError, InterfaceError) as error:
                log.warning(
                    "The database does not answer; retried in a second",
                    action="database_unavailable",
                    error=str(error),
                )
                connections.close_all()
                stop.wait(IDLE_SECONDS)
        traces.end()
        log.info("Worker stopped", action="worker_stopped", worker=worker)


def _idle_seconds(work: Work, ear: Ear) -> float:
    return min(work.seconds(), LISTENING_SECONDS) if ear.hears() else IDLE_SECONDS
