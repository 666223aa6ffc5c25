"""The process that tells people. Of several, on one machine or more, one acts; no delivery ever waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from dropslot.arrivals.upkeep import database
from dropslot.arrivals.workers import duties
from dropslot.audit.event_wakeups import Ear
from dropslot.config import Config
from dropslot.notify.engine import extra, happenings, make_message, outcomes, remove_old, turns, writing_down
from dropslot.notify.engine.outcomes import Outcome
from dropslot.notify.engine.sending_threads import Sending
from dropslot.notify.news import News
from dropslot.notify.section import notify_of
from dropslot.running import board
from dropslot.running.stopping import Signal

log = structlog.get_logger()
DUTY = "notify"
LOOK_SECONDS = 1.0  # at least between two looks at the trail
LISTENING_SECONDS = 15.0  # where PostgreSQL wakes us: a notification may be lost with its connection
LONGEST_PAUSE = timedelta(seconds=5)  # between two looks while something happens
TURN_SECONDS = 5.0  # after which it looks at the trail again, though more is to be sent
LAST_SECONDS = 5.0  # after a stop, for what is under way
DRAIN_SECONDS = 20.0
_NICE = 10  # deliveries come first


class Notifier:
    """One process's work. `worker` names it, in the rows of what it sends; `acts` says whether it has the duty."""

    def __init__(self, config: Config, worker: str, acts: Callable[[], bool]) -> None:
        self._config = config
        self._worker = worker
        self._acts = acts
        self._sending = Sending(config)
        self._unrecorded: list[Outcome] = []
        self._hourly = remove_old.Hourly()
        self._digests = extra.Digests()
        self._is_settled = False
        self._read_at = datetime.min.replace(tzinfo=UTC)  # when it found something last

    def turn(self) -> float:
        """Take in what happened, and send what is due; returns the seconds until something is due again. After an error
        of the database the next turn goes on."""
        is_settled, self._is_settled = self._is_settled, False
        self.record(0.0)
        if not self._acts():
            return LOOK_SECONDS
        if not is_settled:
            outcomes.settle_interrupted(self._sending.ids)
        self._read()
        self._hourly.work(self._config)
        self._digests.work(self._config)
        seconds = self._send_due()
        self._is_settled = True
        return seconds

    def _read(self) -> None:
        """While much happens, more is read at a time: deliveries and this share a processor and a database."""
        now, pause = timezone.now(), min(notify_of(self._config).gather / 2, LONGEST_PAUSE)
        is_too_soon = self._read_at <= now < self._read_at + pause  # not after the clock was set back
        if not is_too_soon and writing_down.write_down(self._config):
            self._read_at = now

    def record(self, seconds: float) -> None:
        """Record what ended; waits up to so many seconds for the first. Raises DatabaseError: it is then kept, and
        recorded the next time."""
        self._unrecorded += self._sending.ended(seconds)
        if self._unrecorded:
            outcomes.record(self._config, self._unrecorded)
            self._unrecorded = []

    def finish(self, seconds: float) -> None:
        """What is under way may end within so many seconds; nothing more is begun."""
        end = time.monotonic() + seconds
        while self._sending.is_busy and time.monotonic() < end:
            self.record(max(0.0, end - time.monotonic()))
        self.record(0.0)
        self._sending.end()

    def _send_due(self) -> float:
        now, end = timezone.now(), time.monotonic() + TURN_SECONDS
        for turn in sorted(turns.turns(self._config, now), key=lambda turn: turn.at):
            if turn.at > now:
                return self._until(turn.at - now)
            if not self._sending.free:
                self.record(LOOK_SECONDS)
            if not self._sending.free or time.monotonic() > end or not self._acts():
                return 0.0
            if marked := make_message.mark(self._config, turn, self._worker, now):
                self._sending.begin(marked)
        return self._until(timedelta(seconds=LISTENING_SECONDS))

    def _until(self, left: timedelta) -> float:
        return min(LOOK_SECONDS, left.total_seconds()) if self._sending.is_busy else left.total_seconds()


def prove(config: Config) -> None:
    """Raises BadOption if people cannot be told as config.yaml says, or a template has a mistake."""
    from dropslot.notify.channels import written
    from dropslot.notify.engine import doctor

    doctor.require_usable(config)
    written.prove_templates(notify_of(config).templates)
    _load()


def _load() -> None:
    """What is imported before the fork is shared by all processes of the service."""
    from dropslot.notify.channels import by_mail, send_message  # noqa: F401

    if apps.is_installed("dropslot.access"):
        from dropslot.access import seen  # noqa: F401
        from dropslot.notify.digests import due_summaries  # noqa: F401


def serve(config: Config, stop: Signal) -> None:
    """Tell people until `stop`, while this process has the duty. Raises DatabaseNewer."""
    with suppress(OSError):
        os.nice(_NICE)
    ear = Ear(happenings.kinds(set(News)))
    with duties.on_duty(config, DUTY, lambda: {DUTY}) as mine:
        notifier = Notifier(config, mine.me, lambda: mine.holds(DUTY))
        while not stop.is_set():
            board.mine().holds(0)
            if newer := database.found_newer():
                raise newer
            seconds = _turn(notifier)
            if not stop.wait(LOOK_SECONDS) and seconds > LOOK_SECONDS:
                _rest(ear, stop, seconds - LOOK_SECONDS)
        with suppress(DatabaseError, InterfaceError):
            notifier.finish(LAST_SECONDS)
    connections.close_all()


def _turn(notifier: Notifier) -> float:
    try:
        return notifier.turn()
    except (DatabaseError, InterfaceError) as error:
        log.warning(
            "The database does not answer; people are told when it does",
            action="database_unavailable",
            error=str(error),
        )
        connections.close_all()
    return LOOK_SECONDS


def _rest(ear: Ear, stop: Signal, seconds: float) -> None:
    """Where the database wakes us: until something happens, or is due."""
    with suppress(DatabaseError):  # the next turn says so, if it lasts
        if ear.hears():
            ear.wait([stop], seconds)


def tell_now(config: Config) -> None:
    """After a drain, which has no such process: send what is due, if no other process does. What is left, and what
    waits for more of the same, is sent the next time, or by the service."""
    with duties.on_duty(config, DUTY, lambda: {DUTY}) as mine:
        notifier = Notifier(config, mine.me, lambda: mine.holds(DUTY))
        end = time.monotonic() + DRAIN_SECONDS
        while mine.holds(DUTY) and notifier.turn() <= LOOK_SECONDS and time.monotonic() < end:
            notifier.record(LOOK_SECONDS)
        notifier.finish(LAST_SECONDS)
