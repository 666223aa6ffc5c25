"""Stamps the head again and again: in a process of the service, or by Celery's workers."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError, InterfaceError, connections

from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.running.stopping import Signal
from dropslot.timestamps import stamping
from dropslot.timestamps.section import authority_of

log = structlog.get_logger()
LOOK_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 3600.0


class Turn:
    """Looks whether a stamp is due, and asks for it; after a failure it waits, longer each time."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._not_before = 0.0
        self._failures = 0

    def look(self) -> None:
        """Once. A failure is logged; the next look may try again."""
        if time.monotonic() < self._not_before or not is_due(self._config):
            return
        try:
            made = stamping.stamp(self._config)
            self._failures = 0
        except DropslotError as error:
            self._failures += 1
            wait = min(LOOK_SECONDS * 2.0**self._failures, LONGEST_WAIT_SECONDS)
            self._not_before = time.monotonic() + wait
            log.warning(f"{error} In {wait:.0f} s.", action="not_stamped", error=error.code)
            return
        if made is not None:
            log.info("The head of the trail has a time stamp", action="stamped", head=str(made.head))


def is_due(config: Config) -> bool:
    """Whether the last stamp is older than `every` and something has happened since."""
    authority = authority_of(config)
    if authority is None:
        return False
    last = stamping.newest()
    if last is None:
        return True
    # A time in the future was made while this clock was right, or is: asking again shows which.
    return last.has_more and abs(datetime.now(UTC) - last.at) >= authority.every


def serve(config: Config, stop: Signal) -> None:
    """Look from time to time, until `stop`."""
    turn = Turn(config)
    while not stop.is_set():
        try:
            turn.look()
        except (DatabaseError, InterfaceError) as error:
            text = "The database does not answer; the trail is stamped when it does"
            log.warning(text, action="database_unavailable", error=str(error))
            connections.close_all()
        stop.wait(LOOK_SECONDS)
