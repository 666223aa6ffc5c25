"""Arrivals of a time, by their ids: these begin with the time of the drop, so that the primary key finds them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from ulid import ULID


def first_id(moment: datetime) -> str:
    """The smallest id of an arrival that was dropped at or after a moment."""
    return str(ULID.from_bytes(int(moment.timestamp() * 1000).to_bytes(6, "big") + bytes(10)))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins there, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
