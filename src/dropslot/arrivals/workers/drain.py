"""Deliver what is complete, then end: for cron, scripts and tests."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import structlog
from django.db.models.functions import Now

from dropslot.arrivals import registry
from dropslot.arrivals.delivery import staged_checks
from dropslot.arrivals.delivery.timing import traces
from dropslot.arrivals.intake import inboxes
from dropslot.arrivals.intake.record import Recorder
from dropslot.arrivals.listings.queries import unfinished
from dropslot.arrivals.models import AfterCall, Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.outbox_readers.for_senders import handing_out
from dropslot.arrivals.space import tree_sizes
from dropslot.arrivals.space import watch as space_watch
from dropslot.arrivals.upkeep import latewrites, preflight
from dropslot.arrivals.upkeep.rebuilding import signs
from dropslot.arrivals.upkeep.same_key import require_same_key
from dropslot.arrivals.workers import elsewhere, holder, local, ownership, recovery
from dropslot.arrivals.workers.claims import recording
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.config.route_folders import all_folders
from dropslot.core.names import escape
from dropslot.core.showing.quantities import chunks
from dropslot.core.states import State
from dropslot.watching.partial_scans import parts
from dropslot.watching.processors import EventProcessor, Pair, Pairs

log = structlog.get_logger()

# A temporary failure is left for the next run, unless its retry is due within this time.
PATIENCE_SECONDS = 2.0
FLUSH_SECONDS = 60.0
_AT_ONCE = 10_000
_PAUSE = threading.Event()  # never set: waiting for it is how this module waits


class Untaken(NamedTuple):
    """An entry that does not become complete by waiting, and of which nothing is recorded yet; it is in its inbox."""

    route: str
    name: str
    reason: str


@dataclass(slots=True)
class Drained:
    """What one run did itself: arrivals that ended, those left for later, and how long it worked (seconds)."""

    done: int = 0
    failed: list[Arrival] = field(default_factory=list)
    left: list[Arrival] = field(default_factory=list)
    elsewhere: list[Arrival] = field(default_factory=list)  # another drain, or the service, works on these
    after_failed: list[AfterCall] = field(default_factory=list)  # calls after a delivery that failed
    ignored: int = 0  # entries of what was delivered that `ignore` names
    unrecorded: int = 0  # claims that the database did not accept; they are in processing
    unlisted: list[str] = field(default_factory=list)  # inboxes that could not be listed, and why
    untaken: list[Untaken] = field(default_factory=list)
    work_seconds: float = 0.0


def drain(config: Config, *, now: bool = False) -> Drained:
    """Take what is complete (entries found must be quiet for `settle`; `now` trusts final names) and deliver it.

    May run beside the daemon, and twice at once. An inbox that cannot be listed does not stop the others.
    """
    preflight.prove(config)
    ownership.require_ours(config)
    require_same_key(config)
    begun = time.monotonic()
    result = Drained()
    taken: set[str] = set()
    with staged_checks.helpers(), holder.holding(config.data) as worker, local.renewing(config, worker):
        signs.alarm(config)
        after.listen(config)
        handing_out.listen(config)
        registry.listen(config)
        space_watch.let_go_on(config)
        recovery.recover(config)
        with recording(config, trust_names=now) as (recorder, pairs):
            result.unlisted = _scan(pairs())
            _take_and_work(config, worker, recorder, pairs, taken)
            result.unrecorded = recorder.pending
        tree_sizes.count(config)
        traces.end()
        others = holder.others(config.data, worker)
    registry.after_drain(config)
    for some in chunks(sorted(taken), _AT_ONCE):
        ended = Arrival.objects.filter(id__in=some)
        result.done += ended.filter(state=State.DONE).count()
        result.failed += ended.filter(state=State.FAILED)
        result.ignored += _ignored(some)
    for row in unfinished():
        (result.elsewhere if _is_elsewhere(row, others) else result.left).append(row)
    result.after_failed = list(after.failing())
    result.work_seconds = time.monotonic() - begun
    result.untaken = list(_untaken(config, {(row.inbox, row.name) for row in result.left}))
    return result


def _ignored(arrivals: Sequence[str]) -> int:
    events = Event.objects.filter(arrival__in=arrivals, kind=Kind.DELIVERED, data__contains='"ignored":')
    return sum(json.loads(data)["ignored"]["count"] for data in events.values_list("data", flat=True))


def _is_elsewhere(row: Arrival, others: bool) -> bool:
    """Whether another process works on it, or has claimed it since this one looked last."""
    return others and row.state in (State.PROCESSING, State.READY)


def _untaken(config: Config, recorded: set[tuple[str, str]]) -> Iterator[Untaken]:
    for folders in all_folders(config):
        for name, why in inboxes.entries(folders):
            shown = escape(name)
            if why.is_stuck and (str(folders.inbox), shown) not in recorded:
                yield Untaken(folders.route.key, shown, why.reason)


def _scan(pairs: Sequence[Pair]) -> list[str]:
    """Report the entries to the processors; returns a sentence for each inbox that cannot be listed."""
    unlisted = []
    for folders, processors in pairs:
        try:
            with os.scandir(folders.inbox) as found:
                for part in parts(found):
                    for processor in processors:
                        processor.on_part_of_scan(part)
        except OSError as error:
            unlisted.append(f"The inbox {escape(str(folders.inbox))} cannot be listed: {error.strerror}")
    return unlisted


def _take_and_work(config: Config, worker: str, recorder: Recorder, pairs: Pairs, taken: set[str]) -> None:
    """Work until there is nothing left to examine before the horizon, to record or to deliver. `taken` gets the ids
    of the arrivals that this worker took."""
    processors = [one for _, several in pairs() for one in several]
    waits = [(route.grace + route.settle).total_seconds() for route in config.routes.values()]
    horizon = time.monotonic() + max(waits) + 1.0  # by then, unchanged entries were compared twice
    while True:
        due = _wake(processors)
        if due is not None and due <= time.monotonic():
            continue  # first everything that can be taken now: the earliest drop may be among the rest
        recorder.flush(FLUSH_SECONDS)
        batch = local.deliver_batch(config, worker)
        taken.update(arrival.id for arrival in batch)
        busy = bool(batch) or latewrites.look_due(config, elsewhere.inboxes(config))
        busy = handing_out.hand_out_due(config) or busy
        if after.call_due(config, worker) or busy:
            continue
        if any(processor.wants_scan() for processor in processors):
            _scan(pairs())
            continue
        if due is not None and due <= horizon:
            _PAUSE.wait(max(0.0, due - time.monotonic()))
        elif not _due_soon():
            return


def _wake(processors: Sequence[EventProcessor]) -> float | None:
    """Let each processor look at what is due; returns when the next one wants to."""
    for processor in processors:
        wanted = processor.wake()
        if wanted is not None and wanted <= time.monotonic():
            processor.on_wake()
    return min((when for processor in processors if (when := processor.wake()) is not None), default=None)


def _due_soon() -> bool:
    """Wait a little if a retry is due soon; False: none is."""
    soon = unfinished().filter(state=State.RETRYING, due_at__lte=Now() + timedelta(seconds=PATIENCE_SECONDS))
    if not soon.exists():
        return False
    _PAUSE.wait(0.05)
    return True
