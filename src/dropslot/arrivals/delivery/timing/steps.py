"""The steps of an attempt, with their times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from dropslot.arrivals.delivery.work import Work

STAGING, CHECKING, PUBLISHING, RECORDING = "staging", "checking", "publishing", "recording"
# What the trail records. To check is to wait for the disk too: data is synced meanwhile.
RECORDED = (STAGING, PUBLISHING)


class Span(NamedTuple):
    """Nanoseconds since the epoch."""

    begun: int
    ended: int


def timed(name: str, step: Callable[[Work], None]) -> Callable[[Work], None]:
    """The step, which notes its time in the work."""

    def run(work: Work) -> None:
        begun = time.time_ns()
        try:
            step(work)
        finally:
            work.times[name] = Span(begun, time.time_ns())

    return run


@contextmanager
def together(name: str, works: Iterable[Work]) -> Iterator[None]:
    """A step that the works of a batch do together: its time is that of each."""
    begun = time.time_ns()
    try:
        yield
    finally:
        span = Span(begun, time.time_ns())
        for work in works:
            work.times[name] = span


def seconds(times: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """For the trail: a clock that was set back makes none shorter than nothing."""
    found = {name: times[name] for name in RECORDED if name in times}
    return {name: max(0.0, round((ended - begun) / 1e9, 3)) for name, (begun, ended) in found.items()}
