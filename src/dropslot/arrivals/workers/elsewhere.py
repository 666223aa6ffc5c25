"""Inboxes that another machine watches and this one cannot see: their arrivals are left to the workers there."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from django.db import connection

from dropslot.arrivals import candidates
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.workers import holder
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.context import kept

Place = tuple[str, str]  # route and inbox
_SECONDS = 5.0
_AGAIN_SECONDS = 1.0  # if there are some: a share may be mounted meanwhile


class _Known:
    others: Mapping[Place, str] | None = None
    inboxes: Collection[str] = ()
    until = float("-inf")


def inboxes(config: Config) -> Collection[str]:
    """Their paths. Who watches is asked each time: an inbox has a watcher before it has arrivals. Raises
    DatabaseError."""
    if connection.vendor == "sqlite":
        return ()  # no other machine has this database
    held = candidates.holders()
    others = {place: name for place, name in held.items() if not holder.is_of_this_machine(config.data, name)}
    known = kept(_Known)
    if others != known.others or time.monotonic() >= known.until:
        known.others, known.inboxes = others, _unseen(config, others) if others else ()
        known.until = time.monotonic() + (_AGAIN_SECONDS if known.inboxes else _SECONDS)
    return known.inboxes


def _unseen(config: Config, others: Mapping[Place, str]) -> Collection[str]:
    sets = [one for route in config.routes.values() for one in folder_sets(route, make=False)]
    here = {(one.route.key, str(one.inbox)): one for one in sets}
    return frozenset(place[1] for place, name in others.items() if not sees(here.get(place), name))


def sees(folders: FolderSet | None, watcher: str) -> bool:
    """Whether these are the folders that a watcher acts on: its name is in their marker."""
    mark = markers.read(folders) if folders else None
    return mark is not None and mark.watcher == watcher
