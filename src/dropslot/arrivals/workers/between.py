"""Small arrivals come in between the pieces of a large one: nobody waits for a terabyte behind another's."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

import structlog
from django.db import connections

from dropslot.arrivals.crew import SMALL_ONLY
from dropslot.arrivals.delivery import pipeline
from dropslot.arrivals.unavailable import UNAVAILABLE
from dropslot.arrivals.workers import elsewhere, holder, leases
from dropslot.config import Config

log = structlog.get_logger()
PIECE_SECONDS = 0.25


class Between:
    """Called between pieces of a large arrival: delivers a batch of small ones, if some wait. After that the large one
    gets at least as much time, and at least a piece."""

    def __init__(
        self,
        config: Config,
        worker: str,
        is_stopped: Callable[[], bool],
        routes: Collection[str] | None = None,
    ) -> None:
        self._config, self._worker, self._is_stopped, self._routes = config, worker, is_stopped, routes
        self._due = 0.0
        self._busy = False

    def begin(self) -> None:
        """A piece of work begins."""
        self._due = time.monotonic() + PIECE_SECONDS

    def __call__(self) -> None:
        begun = time.monotonic()
        if begun < self._due or self._busy or self._is_stopped():
            return
        self._busy = True
        try:
            self._deliver()
        finally:
            self._busy = False
            now = time.monotonic()
            self._due = now + max(PIECE_SECONDS, now - begun)

    def _deliver(self) -> None:
        try:
            batch = leases.take_small(
                self._worker,
                self._config.lease,
                partial(holder.is_dead, self._config.data),
                self._routes,
                elsewhere.inboxes(self._config),
            )
            if batch:
                pipeline.deliver_arrivals(self._config, batch, SMALL_ONLY)
        except UNAVAILABLE as error:
            # The large arrival goes on; this worker takes up again what it holds when that is done.
            log.warning(
                "The database does not answer; small arrivals wait",
                action="database_unavailable",
                error=str(error),
            )
            connections.close_all()
