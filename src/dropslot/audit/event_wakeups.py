"""Wakes who waits for events, also on other machines: on PostgreSQL each commit that appends to the chain notifies one
channel, with the kinds of its events. Nobody may rely on it: a notification can be lost with a connection, and SQLite
has none. Whoever waits looks by themselves from time to time.
"""

from __future__ import annotations

import select
import time
from collections.abc import Collection
from typing import Any, Protocol

import structlog
from django.db import DEFAULT_DB_ALIAS, connections

from dropslot.audit.chain import CHANNEL
from dropslot.audit.kinds import Kind

log = structlog.get_logger()


class HasDescriptor(Protocol):
    """Something that select can wait for."""

    def fileno(self) -> int: ...


class Ear:
    """Hears of events of some kinds, on the calling thread's own connection: one ear a thread."""

    def __init__(self, kinds: Collection[Kind]) -> None:
        self._kinds = frozenset(kinds)
        self._connection: Any = None  # psycopg's, which listens
        self._hears = False
        self._heard = False

    def hears(self) -> bool:
        """Whether a wait ends with the next event: then there is no need to look often. Raises DatabaseError."""
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql":
            return False
        with connection.wrap_database_errors:
            connection.ensure_connection()
            if connection.connection is not self._connection:
                self._begin(connection.connection)
        return self._hears

    def wait(self, others: Collection[HasDescriptor | int], seconds: float) -> None:
        """Until an event of these kinds has been committed since the last wait, or one of `others` can be read, or the
        time is over. Raises DatabaseError if the connection is lost, which ends the wait too."""
        if not self.hears():
            select.select(others, [], [], seconds)
        elif not self._heard:
            self._wait(others, seconds)
        self._heard = False

    def _begin(self, raw: Any) -> None:
        """Who has just begun may have missed something, and looks once more."""
        self._connection, self._heard = raw, True
        # Behind a pooler, which invents a number, a notification would reach another client or none.
        [(backend,)] = raw.execute("SELECT pg_backend_pid()").fetchall()
        self._hears = backend == raw.info.backend_pid
        if self._hears:
            raw.add_notify_handler(self._notice)
            raw.execute(f"LISTEN {CHANNEL}")
        else:
            log.info(
                "PostgreSQL is reached through a pooler, which passes no notifications on: looks once a second instead",
                action="not_listening",
            )

    def _notice(self, notification: Any) -> None:
        self._heard |= not self._kinds.isdisjoint(notification.payload.split(","))

    def _wait(self, others: Collection[HasDescriptor | int], seconds: float) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        end = time.monotonic() + seconds  # events of other kinds do not make the wait longer
        while not self._heard:
            ready = select.select([self._connection, *others], [], [], max(0.0, end - time.monotonic()))[0]
            if self._connection not in ready:
                return
            with connection.wrap_database_errors:
                self._read()

    def _read(self) -> None:
        link = self._connection.pgconn
        link.consume_input()
        while (notification := link.notifies()) is not None:
            self._heard |= not self._kinds.isdisjoint(notification.extra.decode().split(","))
