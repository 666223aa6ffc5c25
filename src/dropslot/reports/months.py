"""A month in the time zone of an installation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dropslot.core.showing.dates import formatted

_WRITTEN = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
_ONE_DAY = timedelta(days=1)


class Month(NamedTuple):
    """One month."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def title(self) -> str:
        """As people write it."""
        return formatted(self.first, "%B %Y")

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def after(self) -> Month:
        """The next one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def before(self) -> Month:
        """The one before."""
        return month_of(self.first - _ONE_DAY)

    def days(self) -> Iterator[date]:
        """All of its days."""
        day, end = self.first, self.after.first
        while day < end:
            yield day
            day += _ONE_DAY


def month_of(day: date) -> Month:
    """The month of a day."""
    return Month(day.year, day.month)


def this_month(zone: ZoneInfo) -> Month:
    """The month that it is there."""
    return month_of(datetime.now(zone).date())


def month_from(text: str) -> Month:
    """A month as it is written, `2026-11`, from 2000 to 2199. Raises ValueError."""
    found = _WRITTEN.fullmatch(text)
    month = Month(int(found[1]), int(found[2])) if found else None
    if month is None or not (2000 <= month.year < 2200 and 1 <= month.month <= 12):
        raise ValueError("expected a month such as 2026-11")
    return month
