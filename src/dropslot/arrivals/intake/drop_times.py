"""When something was dropped: the ctime of its entry in the inbox, which the claim's rename changes.

An arrival's id carries it: the milliseconds that every ULID begins with, and then, in place of random bits, the rest
of the nanoseconds. So ids sort by it, and a claim whose row was not written before a crash still has it.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ulid import ULID

_MILLISECOND = 1_000_000  # in nanoseconds: 20 bits
_RANDOM_BITS = 60
_AHEAD_NS = 24 * 3600 * 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dropped(Protocol):
    """What has a place in the order: an arrival, recorded or not."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def dropped_at(self) -> datetime: ...


def id_of_drop(ctime_ns: int) -> str:
    """A fresh arrival id for what was dropped at this time (ns since the epoch)."""
    milliseconds, rest = divmod(_possible(ctime_ns), _MILLISECOND)
    drawn = rest << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + drawn.to_bytes(10, "big")))


def dropped_at(arrival: str) -> datetime:
    """When the arrival with this id was dropped, in whole microseconds, as databases hold it."""
    number = int.from_bytes(ULID.from_str(arrival).bytes, "big")
    milliseconds, drawn = number >> 80, number & ((1 << 80) - 1)
    return time_of_drop(milliseconds * _MILLISECOND + (drawn >> _RANDOM_BITS))


def time_of_drop(ctime_ns: int) -> datetime:
    """The same of a ctime (ns since the epoch)."""
    return EPOCH + timedelta(microseconds=_possible(ctime_ns) // 1000)


def _possible(ctime_ns: int) -> int:
    """Now, where a file system has no such time, or one that cannot be."""
    now = time.time_ns()
    return ctime_ns if 0 < ctime_ns < now + _AHEAD_NS else now


def in_order(arrival: Dropped) -> tuple[datetime, str, str]:
    """The key that arrivals are sorted by: all of them have another one, so that no two wait for each other."""
    return arrival.dropped_at, arrival.name, arrival.id
