"""Deliver what is complete, then end: for cron, scripts and tests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from django.db.models.functions import Now

from dropslot.arrivals import checking, holder, recovery, starting
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.queries import unfinished
from dropslot.arrivals.record import Recorder
from dropslot.arrivals.watch import recording
from dropslot.arrivals.workers import local
from dropslot.audit import chain
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.watching.processors import EventProcessor, Pair

log = structlog.get_logger()

# What fails now but can heal is left for the next run, unless it is due within this time.
PATIENCE_SECONDS = 2.0
FLUSH_SECONDS = 60.0
_PAUSE = threading.Event()  # never set: waiting for it is how this module waits


@dataclass(slots=True)
class Drained:
    """What one run did: arrivals that ended, those left for later, and how long it worked (seconds)."""

    done: int = 0
    failed: list[Arrival] = field(default_factory=list)
    left: list[Arrival] = field(default_factory=list)
    unrecorded: int = 0  # claims that the database did not take; they lie in processing
    unlisted: list[str] = field(default_factory=list)  # inboxes that could not be listed, and why
    work_seconds: float = 0.0


def drain(config: Config, *, now: bool = False) -> Drained:
    """Take what is complete (entries found must be quiet for `settle`; `now` trusts final names) and deliver it.

    May run beside the daemon, and twice at once. An inbox that cannot be listed holds up no other.
    """
    starting.prove(config)
    begun = time.monotonic()
    result = Drained()
    before = chain.head()
    with checking.helpers(), holder.holding(config.data) as worker, local.renewing(config, worker):
        recovery.recover(config)
        with recording(config, lambda _: None, trust_names=now) as (recorder, pairs):
            result.unlisted = _scan(pairs())
            _take_and_work(config, worker, recorder, [one for _, several in pairs() for one in several])
            result.unrecorded = recorder.pending
    # By the number of their events: ids are made from the clock, which may have been set back.
    events = Event.objects.filter(seq__gt=before.seq, kind__in=("delivered", "refused"))
    ended = Arrival.objects.filter(id__in=events.values("arrival"))
    result.done = ended.filter(state=State.DONE).count()
    result.failed = list(ended.filter(state=State.FAILED))
    result.left = list(unfinished())
    result.work_seconds = time.monotonic() - begun
    return result


def _scan(pairs: Sequence[Pair]) -> list[str]:
    """Tell the processors what is there; returns a sentence for each inbox that cannot be listed."""
    unlisted = []
    for folders, processors in pairs:
        try:
            with os.scandir(folders.inbox) as found:
                entries = list(found)
        except OSError as error:
            unlisted.append(f"The inbox {escape(str(folders.inbox))} cannot be listed: {error.strerror}")
            continue
        for processor in processors:
            processor.on_scan(entries)
    return unlisted


def _take_and_work(
    config: Config, worker: str, recorder: Recorder, processors: Sequence[EventProcessor]
) -> None:
    """Until nothing is left to look at before the horizon, to record or to deliver."""
    settle = max(route.settle.total_seconds() for route in config.routes.values())
    horizon = time.monotonic() + settle + 1.0
    while True:
        due = _wake(processors)
        if due is not None and due <= time.monotonic():
            continue  # first all that can be taken now: what was dropped earliest may be among the rest of it
        recorder.flush(FLUSH_SECONDS)
        if local.work_once(config, worker):
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
    """Wait a little when an attempt is to be repeated shortly; False: nothing is."""
    soon = unfinished().filter(state=State.RETRYING, due_at__lte=Now() + timedelta(seconds=PATIENCE_SECONDS))
    if not soon.exists():
        return False
    _PAUSE.wait(0.05)
    return True
