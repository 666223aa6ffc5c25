"""The formats in which servers write times into their logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_UNITS = (("time_sec", 1), ("time_msec", 1000), ("time_usec", 1_000_000))  # so many of them a second


def moment(groups: Mapping[str, bytes], strftime: str) -> datetime:
    """The time of a line, with its zone, by what its format told: `time` as %t has it, `time_iso` (ISO 8601), seconds
    (or parts of them) since 1970, or `time_own` in strftime's terms. Raises ValueError for one that is none."""
    if text := groups.get("time"):
        return _clf(text)
    if text := groups.get("time_iso"):
        return datetime.fromisoformat(text.decode("ascii"))
    for name, a_second in _UNITS:
        if text := groups.get(name):
            return datetime.fromtimestamp(float(text) / a_second, UTC)
    return datetime.strptime(groups["time_own"].decode("ascii"), strftime).astimezone(UTC)


def _clf(text: bytes) -> datetime:
    """`10/Oct/2000:13:55:36 -0700`; strptime takes ten times as long."""
    month = _MONTHS.get(text[3:6])
    if month is None:
        raise ValueError(f"{text!r} has no month")
    offset = timedelta(hours=int(text[22:24]), minutes=int(text[24:26]))
    zone = timezone(-offset if text[21:22] == b"-" else offset)
    return datetime(
        int(text[7:11]),
        month,
        int(text[:2]),
        int(text[12:14]),
        int(text[15:17]),
        int(text[18:20]),
        tzinfo=zone,
    )
