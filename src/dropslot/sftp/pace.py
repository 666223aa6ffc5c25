"""Limits the bytes a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, tzinfo

_PAUSE = threading.Event()  # never set: waiting for it is how this module waits
_LONGEST_SECONDS = 5.0  # then the rate is read again: another time of day may have begun
_STEP_SECONDS, _LEAST_STEP_BYTES = 0.25, 4096


class Clock:
    """This machine's time. Tests have one that they move themselves."""

    def monotonic(self) -> float:
        """Seconds since the machine was started: all processes share it, and nobody sets it."""
        return time.monotonic()

    def now(self, zone: tzinfo) -> datetime:
        """The time of day."""
        return datetime.now(zone)

    def wait(self, seconds: float) -> None:
        """Wait for this time."""
        _PAUSE.wait(seconds)


class Pace:
    """Says when bytes may be sent. `rate` gives the bytes a second that are allowed now; None: there is no limit."""

    def __init__(self, rate: Callable[[], int | None] = lambda: None, clock: Clock | None = None) -> None:
        self._rate, self._clock = rate, clock or Clock()
        self._free = 0.0  # the time at which the next bytes may be sent
        self._lock = threading.Lock()

    def step(self) -> int | None:
        """How many bytes to send at once, so that a small file is paced, too: those of a quarter of a second. None:
        there is no limit now."""
        rate = self._rate()
        return None if rate is None else max(_LEAST_STEP_BYTES, int(rate * _STEP_SECONDS))

    def wait(self, size_bytes: int, check: Callable[[], None] = lambda: None) -> None:
        """Return when `size_bytes` may be sent: between any two moments no more than the rate allows, plus one such
        call. `check` is called while it waits; what it raises ends the waiting."""
        while (rate := self._rate()) is not None:
            check()
            if (seconds := self._take(size_bytes / rate)) <= 0:
                return
            self._clock.wait(min(seconds, _LONGEST_SECONDS))

    def _take(self, seconds: float) -> float:
        """Reserve this time if it is free now, and return 0; otherwise return how long until it is."""
        with self._lock:
            now, free = self._clock.monotonic(), self._free
            if free <= now:
                self._free = now + seconds
            return max(0.0, free - now)
