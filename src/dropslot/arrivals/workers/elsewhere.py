"""Inboxes that another machine watches and this one cannot see: their arrivals are left to the workers there."""

from __future__ import annotations

import time
from collections.abc import Collection

from dropslot.arrivals import candidates
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.workers import holder
from dropslot.config import Config
from dropslot.config.folders import FolderSet, folder_sets
from dropslot.core.context import kept

_SECONDS = 5.0
_AGAIN_SECONDS = 1.0  # if there are some: a share may be mounted meanwhile


class _Known:
    inboxes: Collection[str] = ()
    until = float("-inf")


def inboxes(config: Config) -> Collection[str]:
    """Their paths, a few seconds old at most. Raises DatabaseError."""
    known = kept(_Known)
    if time.monotonic() >= known.until:
        known.inboxes = _look(config)
        known.until = time.monotonic() + (_AGAIN_SECONDS if known.inboxes else _SECONDS)
    return known.inboxes


def _look(config: Config) -> Collection[str]:
    held = candidates.holders()
    others = {place: name for place, name in held.items() if not holder.is_of_this_machine(config.data, name)}
    if not others:
        return ()
    sets = [one for route in config.routes.values() for one in folder_sets(route, make=False)]
    here = {(one.route.key, str(one.inbox)): one for one in sets}
    return frozenset(place[1] for place, name in others.items() if not sees(here.get(place), name))


def sees(folders: FolderSet | None, watcher: str) -> bool:
    """Whether these are the folders that a watcher acts on: its name is in their marker."""
    mark = markers.read(folders) if folders else None
    return mark is not None and mark.watcher == watcher
