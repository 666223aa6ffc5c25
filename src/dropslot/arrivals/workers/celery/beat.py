"""The process that sends what is to be done from time to time, and the sweep. Of several one acts.

A loop of its own in place of Celery's beat, which would wait for the broker without an end, cannot be told to stop
meanwhile, and keeps its state in a file of this machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, connections

from dropslot.arrivals.candidates import BEAT
from dropslot.arrivals.registry import Schedule
from dropslot.arrivals.upkeep import database
from dropslot.arrivals.workers import due, duties, leases
from dropslot.arrivals.workers.celery import schedules, sweeping
from dropslot.audit.event_wakeups import Ear
from dropslot.broker import queues
from dropslot.broker.client import BrokerAway, client, send
from dropslot.config import Config
from dropslot.running import board
from dropslot.running.stopping import Signal

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
_SWEEP_SECONDS = 1.0
_AWAY_SECONDS = 5.0
_LISTENING_SECONDS = 15.0  # a notification may be lost with its connection


class _Turns:
    """When each schedule is due, by this process's clock; all are when it takes over the duty."""

    def __init__(self, known: Iterable[Schedule]) -> None:
        self._due = {schedule: time.monotonic() for schedule in known}

    def send_due(self, app: Celery, told: Signal) -> None:
        """Send what is due; a message that no worker takes before the next one is due is dropped. Raises
        BrokerAway."""
        now = time.monotonic()
        for schedule in [each for each, moment in self._due.items() if moment <= now]:
            seconds = max(1.0, schedule.every.total_seconds())
            if schedule.by_beat:
                schedule.body(told)
            else:
                keywords = {"version": 1, "name": schedule.name}
                send(app, queues.SCHEDULED, kwargs=keywords, queue=queues.UPKEEP, expires=seconds)
            self._due[schedule] = now + seconds

    def seconds(self) -> float:
        """Until the next one is due."""
        return max(0.0, min(self._due.values(), default=float("inf")) - time.monotonic())


def run(config: Config, told: Signal) -> None:
    """Send schedules and sweep about once a second while it has the duty, until `told`. A broker or database that is
    away is asked again.

    Raises BadOption if a schedule cannot be made as config.yaml says, and DatabaseNewer.
    """
    app = client(config, sends_only=True)
    turns = _Turns(schedules.schedules(config).values())
    ear = Ear(leases.BRINGS_WORK)
    with duties.on_duty(config, BEAT, lambda: {BEAT}) as mine:
        while not told.is_set():
            board.mine().holds(0)
            if newer := database.found_newer():
                raise newer
            acts = mine.holds(BEAT)
            is_well = not acts or _turn(app, config, turns, told)
            if not told.wait(_SWEEP_SECONDS if is_well else _AWAY_SECONDS) and acts:
                _rest(told, ear, turns)
    connections.close_all()


def _rest(told: Signal, ear: Ear, turns: _Turns) -> None:
    """Where the database wakes us: until there may be something to send."""
    with suppress(DatabaseError):  # the next turn says so, if it lasts
        if ear.hears():
            ear.wait([told], min(turns.seconds(), due.until_arrivals(), _LISTENING_SECONDS))


def _turn(app: Celery, config: Config, turns: _Turns, told: Signal) -> bool:
    try:
        turns.send_due(app, told)
        sweeping.sweep(app, config)
    except BrokerAway as error:
        log.warning(str(error), action="broker_unavailable")
    except DatabaseError as error:
        log.warning("The database does not answer", action="database_unavailable", error=str(error))
        connections.close_all()
    else:
        return True
    return False
