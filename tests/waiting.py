"""Wait for conditions, never for time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TICK_SECONDS = 0.02
# Who asks by a command would otherwise keep a processor from the very thing that it waits for.
_PAUSE_BY_COST = 2


def wait_until(condition: Callable[[], T], *, deadline_seconds: float = 60, what: str = "the condition") -> T:
    """The first true value of `condition`; fails the test at the deadline.

    It is asked every 20 ms; one that takes long to answer is asked less often, so that it costs a third of the time.
    The deadline is for what never comes: it is long, since a busy machine is slow.
    """
    end = time.monotonic() + deadline_seconds
    tick = threading.Event()
    while True:
        asked = time.monotonic()
        if value := condition():
            return value
        answered = time.monotonic()
        if answered > end:
            raise AssertionError(
                f"{what} did not come about within {deadline_seconds} s; last value: {value!r}"
            )
        tick.wait(max(TICK_SECONDS, _PAUSE_BY_COST * (answered - asked)))
