"""Spaces as rows of a listing, with the keys of `space --json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dropslot.arrivals.space import lateness
from dropslot.arrivals.space.spaces import Space
from dropslot.core.names import escape
from dropslot.core.showing.amounts import size


def rows(spaces: Iterable[Space]) -> Iterator[dict[str, Any]]:
    """One for each space."""
    for space in spaces:
        yield {
            "name": space.name,
            "kind": space.sort,
            "limit": space.what,
            "folder": escape(space.folders[0]),
            "routes": list(space.routes),
            "fields": dict(space.values),
            "used_bytes": space.used_bytes,
            "free_bytes": space.free_bytes,
            "percent_full": None if space.free_bytes is None else space.percent,
            "used_files": space.used_files,
            "free_files": space.free_files,
            "warn_percent": space.warn_at,
            "full_percent": space.full_at,
            "state": state(space),
            "daily_bytes": space.daily_bytes,
            "days_left": None if space.days_left is None else round(space.days_left, 1),
            "waiting": space.waits.arrivals,
            "waiting_bytes": space.waits.bytes,
        }


def in_words(spaces: Iterable[Space]) -> Iterator[dict[str, Any]]:
    """The same for people, as a table."""
    for space, row in zip(kept := list(spaces), rows(kept), strict=True):
        waiting = f"{space.waits.arrivals} ({size(space.waits.bytes)})" if space.waits.arrivals else ""
        percent = "" if space.free_bytes is None else f"{space.percent} %"
        free = "" if space.free_bytes is None else size(space.free_bytes)
        shown = {"full": percent, "used": size(space.used_bytes), "free": free, "waiting": waiting}
        yield {**row, **shown, "trend": lateness.time_left(space)}


def state(space: Space) -> str:
    """One word: full, filling, room, or unknown."""
    if space.is_full:
        return "full"
    if space.free_bytes is None:
        return "unknown"
    return "filling" if space.is_filling else "room"
