"""Repeated reading: in the service, and with `start_log_reader --follow`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import structlog
from django.db import DatabaseError, connections

from dropslot.acknowledgments import unfetched
from dropslot.acknowledgments.log_reader import Reader
from dropslot.acknowledgments.section import Acknowledge, entries
from dropslot.arrivals.registry import Schedule
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.running.stopping import Signal

log = structlog.get_logger()
LONGEST_WAIT_SECONDS = 300.0


class _Turn:
    """One log, and when it is to be read next."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.due = time.monotonic()
        self._failures = 0

    def read(self, stop: Signal) -> None:
        """Read the new lines; log a failure, and wait after it."""
        every = self.reader.entry.every.total_seconds()
        try:
            self.reader.read(quiet=True, stop=stop.is_set)
            _keep_unfetched(self.reader.entry, stop)
            self._failures = 0
        except DropslotError as error:
            self._failures += 1
            every = max(every, min(2.0**self._failures, LONGEST_WAIT_SECONDS))
            log.warning(
                f"{error} It is retried in {every:.0f} s",
                action="log_not_read",
                route=self.reader.route.key,
                error=error.code,
            )
        self.due = time.monotonic() + every


def _keep_unfetched(entry: Acknowledge, stop: Signal) -> None:
    """The table of what nobody fetched, where `health` looks for what is late."""
    if entry.late_after is not None:
        unfetched.begin()
        while not stop.is_set() and unfetched.catch_up():
            continue


def readers(config: Config) -> list[Reader]:
    """One for every log. Raises BadOption when one cannot be used as config.yaml says."""
    return [Reader(route, entry) for route, entry in entries(config)]


def schedules(config: Config) -> Iterator[Schedule]:
    """The same for Celery's workers: one schedule for every log. Raises BadOption."""
    for number, reader in enumerate(readers(config), 1):
        yield Schedule(f"log-{number}-of-{reader.route.key}", reader.entry.every, _Turn(reader).read)


def serve(config: Config, stop: Signal) -> None:
    """Read every log of the configuration, each as often as its `every` says, until `stop`.

    Raises BadOption when one cannot be used as config.yaml says.
    """
    turns = [_Turn(reader) for reader in readers(config)]
    while turns and not stop.is_set():
        for turn in turns:
            if turn.due <= time.monotonic() and not stop.is_set():
                _read(turn, stop)
        stop.wait(max(0.0, min(turn.due for turn in turns) - time.monotonic()))


def _read(turn: _Turn, stop: Signal) -> None:
    try:
        turn.read(stop)
    except DatabaseError as error:
        log.warning(
            "The database does not answer; logs are read when it does",
            action="database_unavailable",
            error=str(error),
        )
        connections.close_all()
        turn.due = time.monotonic() + 1.0
