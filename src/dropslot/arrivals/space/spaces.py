"""Everything that can get full, as people see it: each with what it holds, how much more fits, and who waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dropslot.arrivals.space import waiting_for_room
from dropslot.arrivals.space.measuring import Measured, measure
from dropslot.arrivals.space.space_trees import Tree, fixed_trees, own_trees, warn_at
from dropslot.arrivals.space.usages import Usages
from dropslot.arrivals.space.waiting_for_room import Waits
from dropslot.config import Config
from dropslot.config.route_folders import folder_sets
from dropslot.core.fullness import FILE_SYSTEM, Capacity, percent_used
from dropslot.core.names import escape
from dropslot.destinations.local.capacity import of_disk
from dropslot.files.network_mounts import disk_of

Sort = Literal["disk", "server", "folder"]
_LESS_PERCENT = 2


@dataclass(frozen=True, slots=True)
class Space:
    """One thing that can get full. `id` is what arrivals wait for; `key`, which stays the same, what its numbers are
    kept under. `free_bytes` is None if no limit is known: then it only says what it holds."""

    sort: Sort
    id: str
    key: str
    name: str
    what: str  # limits it: file system, quota of …
    folders: tuple[str, ...]
    routes: tuple[str, ...]
    values: Mapping[str, str]
    used_bytes: int
    free_bytes: int | None
    used_files: int
    free_files: int | None
    warn_at: float
    full_at: float
    is_local: bool
    daily_bytes: int | None = None
    was_filling: bool = False
    waits: Waits = field(default_factory=Waits)

    @property
    def percent(self) -> int:
        """How full it is, rounded up: of its bytes, or of its number of files if that is fuller."""
        return max(self.percent_of_bytes, self.percent_of_files)

    @property
    def percent_of_bytes(self) -> int:
        """0: no limit is known."""
        return 0 if self.free_bytes is None else percent_used(self.used_bytes, self.free_bytes)

    @property
    def percent_of_files(self) -> int:
        """The same of the number of files."""
        return 0 if self.free_files is None else percent_used(self.used_files, self.free_files)

    @property
    def total_bytes(self) -> int | None:
        return None if self.free_bytes is None else self.used_bytes + self.free_bytes

    @property
    def room_bytes(self) -> int | None:
        """What an arrival may still use of it: less than what is free, if `full` is below 100 %."""
        return None if self.free_bytes is None else room_of(self.used_bytes, self.free_bytes, self.full_at)

    @property
    def is_filling(self) -> bool:
        """Whether somebody should free space. It ends a little below, so that nobody is told again and again."""
        return self.percent >= self.warn_at - (_LESS_PERCENT if self.was_filling else 0)

    @property
    def is_full(self) -> bool:
        """Whether nothing fits any more, or an arrival waits for room."""
        return self.room_bytes == 0 or self.free_files == 0 or self.waits.arrivals > 0

    @property
    def days_left(self) -> float | None:
        """In how many days it is full if it goes on as before; None: it does not fill, or that is not known yet."""
        if self.room_bytes is None or not self.daily_bytes or self.daily_bytes <= 0:
            return None
        return self.room_bytes / self.daily_bytes

    @property
    def study(self) -> str:
        """The value of its first field; empty if it is no single one's."""
        return next(iter(self.values.values()), "")


def room_of(used: int, free: int, full_at: float) -> int:
    """What an arrival may still use, if it may be filled up to `full_at` percent; in bytes."""
    return max(0, int(free - (used + free) * (100 - full_at) / 100))


def look(config: Config, *, servers: bool = False) -> list[Space]:
    """All, the fullest first. Disks of this machine are asked now; servers only if wanted, otherwise what they said
    last is shown. Raises DatabaseError and InterfaceError."""
    usages = Usages.load()
    return of(config, known_trees(config, usages), usages, servers=servers)


def known_trees(config: Config, usages: Usages) -> list[Tree]:
    """All trees: of every destination, and those that `space.of` names."""
    return [*fixed_trees(config), *own_trees(config, usages.keys)]


def of(config: Config, trees: Sequence[Tree], usages: Usages, *, servers: bool = False) -> list[Space]:
    """As `look`, of these trees."""
    measured = usages.at_servers(trees) | measure(trees, servers=servers)
    return _spaces(config, trees, measured, usages, waiting_for_room.waits())


def look_here(config: Config) -> list[Space]:
    """The disks of this machine, without a database."""
    trees = list(fixed_trees(config))
    found = _spaces(config, trees, measure(trees, servers=False), Usages({}), {})
    return [space for space in found if space.sort == "disk"]


def _spaces(
    config: Config, trees: Sequence[Tree], measured: Measured, usages: Usages, waits: Mapping[str, Waits]
) -> list[Space]:
    limits = _Limits(usages, waits)
    for tree in trees:
        for capacity in measured.get(tree.url, ()):
            limits.add(tree, capacity)
    for folder, route, warn in _folders_of_our_own(config):
        limits.add_folder(folder, route, warn)
    at_servers = (tree for tree in trees if tree.rule.scheme and not tree.values)
    unknown = {tree.url: tree for tree in at_servers if not measured.get(tree.url)}.values()
    disks = list(limits.spaces())
    have_disks = {space.folders[0] for space in disks if space.values and space.what == FILE_SYSTEM}
    # A study with a disk of its own needs no count.
    counted = [tree for tree in trees if tree.quota is not None or tree.url not in have_disks]
    spaces = [*disks, *_folders(counted, usages, waits), *map(_unknown, unknown)]
    return sorted(
        spaces, key=lambda space: (not space.is_full, not space.is_filling, -space.percent, space.name)
    )


def _folders_of_our_own(config: Config) -> Iterator[tuple[str, str, float]]:
    """Folder, route and limit of a warning."""
    for route in config.routes.values():
        for folders in folder_sets(route, make=False):
            yield str(folders.done), route.key, warn_at(route)
    yield str(config.data), "", 90.0


@dataclass(slots=True)
class _Shared:
    """What several trees and folders share."""

    capacity: Capacity
    trees: list[Tree] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # others
    routes: list[str] = field(default_factory=list)
    warns: list[float] = field(default_factory=list)


class _Limits:
    """File systems and quotas, each once."""

    def __init__(self, usages: Usages, waits: Mapping[str, Waits]) -> None:
        self._found: dict[str, _Shared] = {}
        self._usages, self._waits = usages, waits

    def add(self, tree: Tree, capacity: Capacity) -> None:
        shared = self._found.setdefault(capacity.id, _Shared(capacity))
        shared.trees.append(tree)
        shared.routes.append(tree.route.key)
        shared.warns.append(tree.warn_at)

    def add_folder(self, folder: str, route: str, warn: float) -> None:
        try:
            here = of_disk(folder, disk_of(os.stat(folder).st_dev))
        except OSError:
            return  # those who need it say so
        shared = self._found.setdefault(here.id, _Shared(here))
        shared.folders.append(folder)
        shared.routes += [route] if route else []
        shared.warns.append(warn)

    def spaces(self) -> Iterator[Space]:
        for number, shared in self._found.items():
            yield self._space(number, shared)

    def _space(self, number: str, shared: _Shared) -> Space:
        capacity, trees = shared.capacity, shared.trees
        own = trees[0] if trees and all(tree.values == trees[0].values != {} for tree in trees) else None
        is_server = bool(trees and trees[0].rule.scheme)
        whole = [tree.url for tree in trees if not tree.values] or [tree.url for tree in trees]
        folders = tuple(dict.fromkeys([*whole, *shared.folders]))
        key = f"{capacity.what} of {folders[0]}" + (f" at {capacity.machine}" if capacity.machine else "")
        known = self._usages.of(key)
        is_disk = capacity.what == FILE_SYSTEM
        where = f"{'server' if is_server else 'disk'} of {own.name if own else escape(folders[0])}"
        if own and own.quota is None:
            where = own.name
        return Space(
            "server" if is_server else "disk",
            number,
            key,
            where if is_disk else f"{where}, {capacity.what}",
            capacity.what,
            folders,
            tuple(dict.fromkeys(shared.routes)),
            own.values if own else {},
            capacity.used_bytes,
            capacity.free_bytes,
            capacity.used_files,
            capacity.free_files,
            min(shared.warns),
            min((tree.rule.space.full for tree in trees), default=100.0),
            is_local=not is_server,
            daily_bytes=known.daily_bytes,
            was_filling=known.is_filling,
            waits=self._waits.get(number, Waits()),
        )


def _unknown(tree: Tree) -> Space:
    """A place that does not say how much fits."""
    key = f"server of {escape(tree.url)}"
    none = (0, None, 0, None, tree.warn_at, tree.rule.space.full)
    routes = (tree.route.key,)
    return Space(
        "server", key, key, key, "the server does not say", (tree.url,), routes, {}, *none, is_local=False
    )


def _folders(trees: Iterable[Tree], usages: Usages, waits: Mapping[str, Waits]) -> Iterator[Space]:
    """Trees that are counted: with a quota, or without one to show what they hold."""
    by_url: dict[str, list[Tree]] = {}
    for tree in trees:
        if tree.is_counted:
            by_url.setdefault(tree.url, []).append(tree)
    for url, alike in by_url.items():
        tree = min(alike, key=lambda each: (each.quota is None, each.quota or 0))
        usage = usages.of(url)
        free = None if tree.quota is None else max(0, tree.quota - usage.used_bytes)
        yield Space(
            "folder",
            url,
            url,
            tree.name,
            "its quota" if free is not None else "no quota",
            (url,),
            tuple(dict.fromkeys(each.route.key for each in alike)),
            tree.values,
            usage.used_bytes,
            free,
            usage.files,
            None,
            tree.warn_at,
            tree.rule.space.full,
            is_local=False,
            daily_bytes=usage.daily_bytes,
            was_filling=usage.is_filling,
            waits=waits.get(url, Waits()),
        )
