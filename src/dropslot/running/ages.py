"""How old things are, though the clock of the machine may jump."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

_LEAST = timedelta(seconds=30)  # a smaller step is no jump
_KEPT = 100


def elapsed() -> float:
    """Seconds since the machine started, those in which it slept too. No setting of a clock changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Jump(NamedTuple):
    """The clock was at `before`, and a moment later at `after`; `at`: when that was, as `elapsed` counts."""

    before: datetime
    after: datetime
    at: float

    @property
    def by(self) -> timedelta:
        """How far; negative: back."""
        return self.after - self.before


class Ages:
    """Finds jumps when it is told the time again and again, and knows how old something is in spite of them."""

    def __init__(self) -> None:
        self.jumps: list[Jump] = []
        self._last: tuple[datetime, float] | None = None

    def look(self, now: datetime | None = None, at: float | None = None) -> datetime:
        """The time by the clock; notes whether it jumped since the last look."""
        now = timezone.now() if now is None else now
        at = elapsed() if at is None else at
        if self._last is not None:
            last, then = self._last
            expected = last + timedelta(seconds=at - then)
            # Clocks are also set slowly: a thousandth of the time is no jump.
            if abs(now - expected) > max(_LEAST, timedelta(seconds=(at - then) / 1000)):
                self.jumps = [*self.jumps[1 - _KEPT :], Jump(expected, now, at)]
        self._last = now, at
        return now

    def age(self, since: datetime, now: datetime) -> timedelta:
        """How old it is; never negative. What cannot be known exactly is taken for younger, not for older."""
        age = now - since
        for jump in self.jumps:
            is_forward = jump.by > timedelta(0)
            if since <= jump.before if is_forward else (since < jump.after or since > now):
                age -= jump.by  # it was there before the jump
        return max(age, timedelta(0))
