"""Whether an arrival fits at its destinations, before anything of it is staged. One that does not fit waits, whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.arrivals.delivery.work import Leg, Work
from dropslot.arrivals.models import Usage
from dropslot.arrivals.space import tree_sizes
from dropslot.arrivals.space.measuring import measure
from dropslot.arrivals.space.space_trees import Tree, tree_of
from dropslot.arrivals.space.spaces import room_of
from dropslot.arrivals.space.waiting_for_room import Lack, Room
from dropslot.config import Config
from dropslot.core.context import kept
from dropslot.core.errors import NoRoom
from dropslot.core.fullness import FILE_SYSTEM
from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.core.showing.quantities import counted
from dropslot.files.listing import Listing
from dropslot.files.writing.holes import allocated_bytes

_SECONDS = 10.0
_PLENTY = 20  # so many times what is needed is free: then an answer some seconds old will do


class Lacking(NoRoom):
    """With what is missing, for the arrival's evidence."""

    def __init__(self, what: str, lacks: Sequence[Lack], *, where: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.lacks = list(lacks)


class _Answer(NamedTuple):
    """What limits a tree, and how much of it may still be used. `whole`: what it holds when it is empty, if nothing
    can be done about that."""

    what: str
    id: str
    room: Room
    whole: int | None = None


@dataclass(slots=True)
class _Limit:
    """One thing that limits an arrival, and how much of it the arrival needs."""

    tree: Tree
    answer: _Answer
    bytes: int = 0
    files: int = 0
    largest: int = 0  # for one of its destinations
    legs: list[Leg] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.answer.id

    @property
    def is_hopeless(self) -> bool:
        """Whether it would not fit even if nothing else were there: its staging refuses it."""
        return self.answer.whole is not None and self.largest > self.answer.whole

    def need(self, sizes: Sequence[int]) -> None:
        """What it needs, for each of its destinations."""
        self.bytes, self.largest = sum(sizes), max(sizes)


class Known(dict[str, tuple[float, list[_Answer]]]):
    """What limits each tree, by its address, with the time when it was asked."""


def admitting() -> Callable[[Work], None]:
    """A step that raises Lacking for a work that does not fit now, beside the others of its batch. What may be partly
    published already goes on: its names are reserved."""
    promised: dict[str, tuple[int, int]] = {}

    def require(work: Work) -> None:
        if work.committed:
            return
        limits = list(_limits(work))
        lacking = [limit for limit in limits if not _holds(work, limit, promised)]
        if lacking:
            raise _lacking(lacking)
        for limit in limits:
            before = promised.get(limit.id, (0, 0))
            promised[limit.id] = before[0] + limit.bytes, before[1] + limit.files

    return require


def _holds(work: Work, limit: _Limit, promised: dict[str, tuple[int, int]]) -> bool:
    room = limit.answer.room.without(*promised.get(limit.id, (0, 0)))
    if room.holds(limit.bytes, limit.files):
        return True
    if limit.tree.rule.scheme or room.bytes is None or limit.bytes <= room.bytes:
        return limit.is_hopeless
    # Holes stay holes in a folder of this machine.
    limit.need([_allocated(work, leg) for leg in limit.legs])
    return room.holds(limit.bytes, limit.files) or limit.is_hopeless


def _allocated(work: Work, leg: Leg) -> int:
    with work.delivers.open() as folder:
        return allocated_bytes(folder.fd, _listing(work, leg))


def _listing(work: Work, leg: Leg) -> Listing:
    return leg.part or work.delivers.listing


def _limits(work: Work) -> Iterable[_Limit]:
    found: dict[str, _Limit] = {}
    for leg in work.legs:
        tree, listing = tree_of(work.route, leg.rule, leg.target.url), _listing(work, leg)
        needed, files = listing.size_bytes, len(listing.items) + len(listing.folders)
        for answer in _rooms(work.config, tree, needed, files):
            limit = found.setdefault(answer.id, _Limit(tree, answer))
            limit.bytes, limit.largest = limit.bytes + needed, max(limit.largest, needed)
            limit.files += files
            limit.legs.append(leg)
    return found.values()


def _rooms(config: Config, tree: Tree, needed: int, files: int) -> list[_Answer]:
    known = kept(Known)
    at, rooms = known.get(tree.url, (0.0, []))
    is_plenty = all(each.room.holds(_PLENTY * needed, _PLENTY * files) for each in rooms)
    if time.monotonic() - at > _SECONDS or not is_plenty:
        rooms = list(_ask(config, tree))
        known[tree.url] = time.monotonic(), rooms
    return rooms


def _ask(config: Config, tree: Tree) -> Iterator[_Answer]:
    for capacity in measure([tree], servers=True).get(tree.url, ()):
        free = room_of(capacity.used_bytes, capacity.free_bytes, tree.rule.space.full)
        is_disk = capacity.what == FILE_SYSTEM
        whole = capacity.used_bytes + capacity.free_bytes if is_disk else None
        yield _Answer(capacity.what, capacity.id, Room(free, capacity.free_files), whole)
    if (quota := tree.quota) is not None:
        tree_sizes.count(config)
        used = Usage.objects.filter(key=tree.url).values_list("used_bytes", flat=True).first() or 0
        free = room_of(used, max(0, quota - used), tree.rule.space.full)
        yield _Answer(f"quota of {size(quota)}", tree.url, Room(free, None))


def _lacking(limits: Sequence[_Limit]) -> Lacking:
    limit, room = limits[0], limits[0].answer.room
    needs, left = size(limit.bytes), size(room.bytes or 0)
    if room.bytes is None or limit.bytes <= room.bytes:
        needs, left = counted(limit.files, "file"), f"{room.files or 0:,} inodes"
    full = limit.tree.rule.space.full
    up_to = f", up to {full:g} %" if full < 100 else ""
    return Lacking(
        f"There is no room for {limit.tree.name}: the arrival needs {needs}, and {left} are free"
        f" ({limit.answer.what}{up_to}, {escape(limit.tree.url)})",
        [Lack(space=each.id, bytes=each.bytes, files=each.files) for each in limits],
        where="It waits whole in processing, and nothing of it was staged",
        next_step="Free space there, or give it more; it is retried by itself when it fits",
    )
