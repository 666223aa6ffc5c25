"""What people write to narrow a listing, on the command line, a page or the API: text to search, ages and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dropslot.core.names import escape

TIMES = "2026-03-01, 2026-03-01T08:00, or 7d for seven days ago"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"([0-9]{1,18})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def searchable(text: str) -> str:
    """A text as the database stores it: names are escaped, and so are characters that no database accepts."""
    return escape(text).replace(r"\x5c", "\\")


def ago(text: str) -> timedelta | None:
    """`7d` as a duration that does not reach back before 1970; None if the text is not a duration."""
    match = _AGO.fullmatch(text.strip())
    if match is None:
        return None
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        return None
    return min(age, datetime.now(UTC) - _EARLIEST)


def moment(text: str) -> datetime | None:
    """The time that a text such as `7d` or `2026-03-01T08:00` means, in UTC; none if it is empty. Raises
    ValueError."""
    if not text:
        return None
    if (before := ago(text)) is not None:
        return datetime.now(UTC) - before
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond all times") from error
