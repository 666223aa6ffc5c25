"""Warning before a disk is full."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

import structlog

from dropslot.config import Config, Route
from dropslot.config.folders import folder_sets
from dropslot.core.names import escape
from dropslot.files.probe import percent_full

log = structlog.get_logger()


class Full(NamedTuple):
    """How full the file system of a folder is; `warn` is the limit in percent of the routes that use it, if any."""

    folder: str
    percent: int
    warn: float | None

    @property
    def is_too_full(self) -> bool:
        return self.warn is not None and self.percent >= self.warn


def examine(config: Config) -> list[Full]:
    """Every file system of a destination, of done and of the data folder, once. One that cannot be examined is left
    out."""
    limits = limits_of(config)
    folders = [*limits, str(config.data), *chain.from_iterable(map(_folders_of, config.routes.values()))]
    found: dict[int, Full] = {}
    for folder in folders:
        with suppress(OSError):
            device = os.stat(folder).st_dev
            if device not in found:
                found[device] = Full(folder, percent_full(folder), limits.get(folder))
    return list(found.values())


def limits_of(config: Config) -> dict[str, float]:
    """The limit in percent for each folder whose route has one."""
    limits: dict[str, float] = {}
    for route in config.routes.values():
        if route.space.warn is not None:
            for folder in (*_folders_of(route), str(config.data)):
                limits[folder] = min(route.space.warn, limits.get(folder, 100))
    return limits


class SpaceWatch:
    """Looks at the file systems of all destinations, of done and of the data folder; warns once when one gets fuller
    than its route's `space.warn`, and logs once when there is room again."""

    def __init__(self, config: Config) -> None:
        self._limits = limits_of(config)
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
    archives = (str(folders.done) for folders in folder_sets(route, make=False))
    return [*(folder for rule in route.deliver if (folder := rule.folder_here)), *archives]
