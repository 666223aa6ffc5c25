"""Warning before a disk is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from dropslot.config import Config, Route
from dropslot.config.folders import folder_sets
from dropslot.core.names import escape
from dropslot.files.probe import percent_full

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system. `holds` are the folders on it that dropslot writes; `warn_at` is the least `space.warn` of their
    routes, in percent."""

    holds: tuple[str, ...]
    percent: int
    free_bytes: int
    total_bytes: int
    warn_at: float | None

    @property
    def is_filling(self) -> bool:
        """Whether somebody should free space: more than the limit of a route; without one, 90 %."""
        return self.percent >= (90 if self.warn_at is None else self.warn_at)


def disks(config: Config) -> list[Disk]:
    """Every file system of this machine that destinations, archives and the data folder are on, the fullest first. One
    that cannot be examined is left out: its deliveries report the problem."""
    holds: dict[int, list[str]] = {}
    limits: dict[int, list[float]] = {}
    for folder, limit in _watched(config):
        try:
            device = os.stat(folder).st_dev
        except OSError:
            continue
        holds.setdefault(device, []).append(folder)
        limits.setdefault(device, []).extend([limit] if limit is not None else [])
    found = [_disk(tuple(dict.fromkeys(holds[device])), limits[device]) for device in holds]
    return sorted(found, key=lambda disk: -disk.percent)


def _disk(folders: tuple[str, ...], limits: list[float]) -> Disk:
    disk = os.statvfs(folders[0])
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return Disk(folders, percent_full(folders[0]), free, total, min(limits, default=None))


def _watched(config: Config) -> Iterator[tuple[str, float | None]]:
    for route in config.routes.values():
        for folder in _folders_of(route):
            yield folder, route.space.warn
    yield str(config.data), None


class SpaceWatch:
    """Looks at the file systems of all destinations, of done and of the data folder; warns once when one gets fuller
    than its route's `space.warn`, and logs once when there is room again."""

    def __init__(self, config: Config) -> None:
        self._limits: dict[str, float] = {}
        for route in config.routes.values():
            if route.space.warn is not None:
                for folder in (*_folders_of(route), str(config.data)):
                    self._limits[folder] = min(route.space.warn, self._limits.get(folder, 100))
        self._full: set[str] = set()

    def look(self) -> None:
        """Check now. A folder that cannot be examined is left to the delivery, which reports the problem."""
        seen: set[int] = set()
        for folder, limit in self._limits.items():
            try:
                device, percent = os.stat(folder).st_dev, percent_full(folder)
            except OSError:
                continue
            if device in seen:
                continue  # said of another folder
            seen.add(device)
            if percent >= limit and folder not in self._full:
                self._full.add(folder)
                line = f"The disk of {escape(folder)} is {percent} % full (warn: {limit} %); free space there"
                log.warning(line, action="disk_filling", plain=True)
            elif percent < limit and folder in self._full:
                self._full.discard(folder)
                log.info(f"The disk of {escape(folder)} has room again", action="disk_has_room", plain=True)


def _folders_of(route: Route) -> list[str]:
    archives = (str(folders.done) for folders in folder_sets(route))
    return [*(folder for rule in route.deliver if (folder := rule.folder_here)), *archives]
