"""The process that keeps: it reads stored files, mends them if asked, and removes originals when their time is over. Of
several machines one does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from dropslot.arrivals.workers.duties import on_duty
from dropslot.config import Config
from dropslot.core.settings.limits import Limit
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.rounds import LONGEST_SECONDS, Rounds
from dropslot.keeping.mending.mend import mend_due
from dropslot.keeping.removing.retention import Retention
from dropslot.keeping.section import fixity_of, removes_by_itself
from dropslot.running.priority import yield_to_all
from dropslot.running.stopping import Signal
from dropslot.sftp.pace import Pace

log = structlog.get_logger()
DUTY = "keeping"
_STANDBY_SECONDS = 2.0


class Interrupted(Exception):
    """The service stops, or another process keeps now: what was begun is done again later."""


class Keeper:
    """What is done, a step at a time. `check` ends a step that goes on, by what it raises."""

    def __init__(self, config: Config, check: Callable[[], None]) -> None:
        self._config, fixity = config, fixity_of(config)
        self._mends = fixity is not None and fixity.mend
        self._reader = Reader(pace_of(config), check=check, fresh=True)
        self._rounds = Rounds(config, fixity, self._reader, check) if fixity else None
        self._retention = Retention(config, self._reader) if removes_by_itself(config) else None

    def step(self) -> float:
        """Do what is due; returns the seconds until something is due again."""
        if self._mends and mend_due(self._config):
            return 0.0
        waits = [LONGEST_SECONDS]
        if self._rounds is not None:
            waits.append(self._rounds.step())
        if self._retention is not None:
            waits.append(self._retention.step())
        return min(waits)


def pace_of(config: Config) -> Pace:
    """At which rate is read."""
    fixity = fixity_of(config)
    limit = fixity.rate if fixity and fixity.rate else Limit()
    return Pace(lambda: limit.at(datetime.now(config.zone).time()))


def is_wanted(config: Config) -> bool:
    """Whether config.yaml asks for anything of this."""
    return fixity_of(config) is not None or removes_by_itself(config)


def serve(config: Config, stop: Signal) -> None:
    """Keep, until `stop`."""
    yield_to_all()
    with on_duty(config, "keeper", lambda: [DUTY]) as duties:

        def check() -> None:
            if stop.is_set() or not duties.holds(DUTY):
                raise Interrupted

        keeper = Keeper(config, check)
        while not stop.is_set():
            pause = _STANDBY_SECONDS
            if duties.holds(DUTY):
                try:
                    pause = keeper.step()
                except Interrupted:
                    log.info("The reading of stored files is interrupted", action="keeping_interrupted")
            if pause:
                stop.wait(pause)
