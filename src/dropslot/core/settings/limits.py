"""A highest rate in bytes a second: constant, or by time of day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

from dropslot.core.settings.byte_sizes import size

_SPAN = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)")
_EXPECTED = "expected a rate such as 20MB/s, or times of day with rates such as {'08:00-18:00': 5MB/s}"


@dataclass(frozen=True, slots=True)
class Limit:
    """Bytes a second; `spans` are (first minute of the day, minute after the last, rate), the first that fits counts.
    None: no limit at that time."""

    always: int | None = None
    spans: tuple[tuple[int, int, int], ...] = ()

    def at(self, now: time) -> int | None:
        """The limit at a time of day."""
        minute = now.hour * 60 + now.minute
        for first, end, rate in self.spans:
            inside = first <= minute < end if first < end else minute >= first or minute < end
            if inside:
                return rate
        return self.always


def limit(value: Any) -> Limit:
    """`20MB/s`, or a mapping of spans of the day to rates; a span may go over midnight."""
    if isinstance(value, Limit):
        return value
    if isinstance(value, Mapping):
        if not value:
            raise ValueError(_EXPECTED)
        return Limit(spans=tuple((*_span(str(span)), _rate(rate)) for span, rate in value.items()))
    return Limit(_rate(value))


def _rate(value: Any) -> int:
    text = str(value).strip() if isinstance(value, str) else value
    try:
        rate = size(text.removesuffix("/s") if isinstance(text, str) else text)
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if rate < 1000:
        raise ValueError("expected a rate of 1kB/s or more")
    return rate


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{_EXPECTED}; '{text}' is not a span of a day")
    first, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if first == end or max(first, end) > 24 * 60:
        raise ValueError(f"expected a span of a day such as 08:00-18:00, but '{text}' is not one")
    return first, end


def written(value: Limit) -> Any:
    """A limit as config.yaml has it."""
    if value.always is not None:
        return f"{value.always}B/s"
    return {f"{_clock(first)}-{_clock(end)}": f"{rate}B/s" for first, end, rate in value.spans}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
