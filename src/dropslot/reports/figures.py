"""What a report says, in plain values: the same for the page, the PDF, CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from dropslot.reports.months import month_from


@dataclass(frozen=True, slots=True)
class Line:
    """One study or clinic of a route, or all of them. Arrivals are counted by the month of their drop; those that
    are read in their place, by that of the reading. Times are in
    seconds after the drop, None: there are none. `fetched`: None if it is not known what is fetched."""

    route: str
    field: str  # which field of the route `value` is of; empty: the route is one line
    value: str
    received: int  # arrivals; each is delivered, refused or still open
    delivered: int
    refused: int
    open: int
    files: int  # that were delivered, once for each destination
    size_bytes: int
    fetched: int | None  # of these files
    delivery_median: int | None
    delivery_p95: int | None
    fetch_median: int | None
    fetch_p95: int | None

    @property
    def name(self) -> str:
        """What it is of."""
        return self.value or (f"without {self.field}" if self.field else "all")


@dataclass(frozen=True, slots=True)
class Day:
    """The arrivals that were dropped on one day."""

    day: str
    received: int
    delivered: int
    refused: int


@dataclass(frozen=True, slots=True)
class Report:
    """One month. `of`: whose view it is, in words. `made_at`: UTC, ISO 8601 with Z; what is open then, and what was
    fetched, may change later."""

    month: str
    zone: str
    made_at: str
    is_over: bool
    of: str
    lines: Sequence[Line]
    total: Line
    days: Sequence[Day]

    @property
    def title(self) -> str:
        """The month as people write it."""
        return month_from(self.month).title

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return asdict(self)


def from_json(found: Mapping[str, Any]) -> Report:
    """The report that `as_json` gave."""
    lines, days = [Line(**one) for one in found["lines"]], [Day(**one) for one in found["days"]]
    return Report(**{**found, "lines": lines, "days": days, "total": Line(**found["total"])})


def quantile(counted: Mapping[int, int], share: float) -> int | None:
    """The smallest value that at least this share of all have (nearest rank); None without any. `counted`: how often
    each value comes."""
    left = max(1, ceil(share * sum(counted.values())))
    for value in sorted(counted):
        left -= counted[value]
        if left <= 0:
            return value
    return None
