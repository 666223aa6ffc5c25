"""When a summary is due, and of which time: each morning, or on Monday morning. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Literal, NamedTuple

from dropslot.core.showing.dates import formatted

Every = Literal["daily", "weekly"]
MORNING = time(6)
_LONG: dict[Every, timedelta] = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
_MOST = 5  # of these in one summary, after a longer pause


class Period(NamedTuple):
    """From `since` until `until`, times of one zone."""

    since: datetime
    until: datetime

    def in_words(self) -> str:
        """As `29 November 2026`, or `23 to 29 November 2026`: the days that it covers."""
        first, last = self.since.date(), (self.until - timedelta(seconds=1)).date()
        # A day's summary is made in the next morning, and is about what people call the day before.
        last = max(first, last - timedelta(days=1))
        until = f"{last.day} {formatted(last, '%B %Y')}"
        if first == last:
            return until
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day} to {until}"
        return f"{first.day} {formatted(first, '%B %Y')} to {until}"


def due(now: datetime, every: Every, before: datetime | None) -> Period | None:
    """What the next summary is about; None: it is not due. `now` is a time of the zone that counts, `before` the end of
    the last one. A clock that was wrong for some time costs nobody more than one summary."""
    until = _newest(now, every)
    if before is None or before > until + _LONG[every]:  # never, or while the clock was ahead
        return Period(until - _LONG[every], until)
    before = before.astimezone(now.tzinfo)
    if before >= until:
        return None
    return Period(max(before, until - _MOST * _LONG[every]), until)


def _newest(now: datetime, every: Every) -> datetime:
    """The last morning that has begun; of a Monday if it is weekly."""
    day = now.date() if now.time() >= MORNING else now.date() - timedelta(days=1)
    if every == "weekly":
        day -= timedelta(days=day.weekday())
    return datetime.combine(day, MORNING, now.tzinfo)
