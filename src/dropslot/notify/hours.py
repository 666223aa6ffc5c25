"""Quiet hours: a time of the day in which nobody is sent a message. Nothing here needs Django."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import NamedTuple

_HOURS = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)")
_EXPECTED = "expected two times of the day, such as '22:00-07:00'"


class Quiet(NamedTuple):
    """From `begin` to `end` by a clock on the wall; over midnight if `end` is the earlier one."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def ends_after(self, now: datetime) -> datetime | None:
        """When the quiet hours end that `now`, a time of the zone that counts, is in. None: it is in none."""
        clock = now.time()
        is_over_midnight = self.end <= self.begin
        sides = (clock >= self.begin, clock < self.end)
        if not (any(sides) if is_over_midnight else all(sides)):
            return None
        day = now.date() + timedelta(days=1 if is_over_midnight and clock >= self.begin else 0)
        return datetime.combine(day, self.end, now.tzinfo)


def quiet_of(text: str) -> Quiet:
    """Quiet hours as people write them. Raises ValueError, which says what is expected."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(_EXPECTED)
    hour, minute, until_hour, until_minute = map(int, found.groups())
    if max(hour, until_hour) > 23 or max(minute, until_minute) > 59:
        raise ValueError(_EXPECTED)
    begin, end = time(hour, minute), time(until_hour, until_minute)
    if begin == end:
        raise ValueError("expected two times that differ, such as '22:00-07:00'")
    return Quiet(begin, end)
