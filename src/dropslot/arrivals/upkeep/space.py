"""Warning before a disk is full."""

from __future__ import annotations

import os

import structlog

from dropslot.config import Config, Route
from dropslot.config.folders import folder_sets
from dropslot.core.names import escape
from dropslot.files.probe import percent_full

log = structlog.get_logger()


class SpaceWatch:
    """Looks at the file systems of all destinations, of done and of the data folder; says once when one gets fuller
    than its route's `space.warn`, and once when there is room again."""

    def __init__(self, config: Config) -> None:
        self._limits: dict[str, float] = {}
        for route in config.routes.values():
            if route.space.warn is not None:
                for folder in (*_folders_of(route), str(config.data)):
                    self._limits[folder] = min(route.space.warn, self._limits.get(folder, 100))
        self._full: set[str] = set()

    def look(self) -> None:
        """Look now. A folder that cannot be looked at is left to the delivery, which says what is wrong."""
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
