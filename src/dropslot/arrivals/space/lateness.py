"""What is filling up, and what is full, for `health` and for those who are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dropslot.arrivals.registry import Late
from dropslot.arrivals.space.spaces import Space
from dropslot.core.showing.amounts import size
from dropslot.core.showing.quantities import counted
from dropslot.core.troubles import TroubleKind

_LONG_DAYS = 400


def late(spaces: Iterable[Space]) -> Iterator[Late]:
    """A trouble for each space that is filling, and another one when it is full or an arrival waits for room."""
    for space in spaces:
        if space.is_filling:
            yield _late(space, f"space of {space.name}", filling(space), "free space there, or give it more")
        if space.is_full:
            remedy = "free space there, or give it more; arrivals go on by themselves"
            yield _late(space, f"no room for {space.name}", full(space), remedy)


def _late(space: Space, about: str, what: str, remedy: str) -> Late:
    route = space.routes[0] if len(space.routes) == 1 else ""
    return Late(
        about, what, remedy, route, kind=TroubleKind.SPACE, study=space.study, is_local=space.is_local
    )


def filling(space: Space) -> str:
    """How full it is, and until when."""
    said = f"it is {space.percent} % full (warn: {space.warn_at:g} %): {held(space)}"
    return f"{said}, {left}" if (left := time_left(space)) else said


def held(space: Space) -> str:
    """`1.8 TB of 2 TB used`, or what else is scarce."""
    if space.free_bytes is None or space.total_bytes is None:
        return f"{size(space.used_bytes)} used"
    if space.free_files is not None and space.percent_of_files > space.percent_of_bytes:
        return f"{space.used_files:,} of {space.used_files + space.free_files:,} files"
    return f"{size(space.used_bytes)} of {size(space.total_bytes)} used"


def full(space: Space) -> str:
    """That nothing fits any more, or what waits."""
    if not space.waits.arrivals:
        return f"it is out of space: {held(space)}"
    waiting = f"{counted(space.waits.arrivals, 'arrival')} of {size(space.waits.bytes)}"
    verb = "waits" if space.waits.arrivals == 1 else "wait"
    free = "" if space.room_bytes is None else f", and {size(space.room_bytes)} are free"
    return f"it is out of space: {waiting} {verb} for room{free}"


def time_left(space: Space) -> str:
    """`full in about 12 days`; empty: not known, or not soon."""
    days = space.days_left
    if days is None or days > _LONG_DAYS:
        return ""
    if days < 1:
        return f"full in about {counted(max(1, round(days * 24)), 'hour')}"
    return f"full in about {round(days)} day{'s' if round(days) != 1 else ''}"
