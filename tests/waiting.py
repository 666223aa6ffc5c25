"""Wait for conditions, never for time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TICK_SECONDS = 0.02


def wait_until(condition: Callable[[], T], *, deadline_seconds: float = 20, what: str = "the condition") -> T:
    """The first true value of `condition`, which is asked every 20 ms; fails the test at the deadline."""
    end = time.monotonic() + deadline_seconds
    tick = threading.Event()
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(
                f"{what} did not come about within {deadline_seconds} s; last value: {value!r}"
            )
        tick.wait(TICK_SECONDS)
    return value
