"""What is done from time to time: beat sends it, a worker does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from dropslot.arrivals import registry
from dropslot.arrivals.registry import Schedule
from dropslot.arrivals.upkeep import latewrites
from dropslot.arrivals.workers import elsewhere
from dropslot.config import Config
from dropslot.running.stopping import Signal

_LATE_WRITES = timedelta(seconds=60)


def schedules(config: Config) -> Mapping[str, Schedule]:
    """All of them, by name. Raises BadOption."""
    return {each.name: each for each in (*_own(config), *registry.schedules(config))}


def _own(config: Config) -> Iterator[Schedule]:
    def look(stop: Signal) -> None:
        while not stop.is_set() and latewrites.look_due(config, elsewhere.inboxes(config)):
            continue

    yield Schedule("late-writes", _LATE_WRITES, look)
