"""Inboxes that another machine watches, or watched last, and this one cannot see: their arrivals are left to the
workers there, and wait for them if that machine is down."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from django.db import connection

from dropslot.arrivals import candidates
from dropslot.arrivals.candidates import Doer, Watcher
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.workers import holder
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.context import kept

Place = tuple[str, str]  # route and inbox
_SECONDS = 5.0
_ENOUGH = 200  # entries of a processing folder
_AGAIN_SECONDS = 1.0  # if there are some: a share may be mounted meanwhile


class _Known:
    others: Mapping[Place, Watcher] | None = None
    inboxes: Collection[str] = ()
    until = float("-inf")


def inboxes(config: Config) -> Collection[str]:
    """Their paths. Who watches is asked each time: an inbox has a watcher before it has arrivals. Raises
    DatabaseError."""
    if connection.vendor == "sqlite":
        return ()  # no other machine has this database
    found = candidates.watchers()
    others = {place: one for place, one in found.items() if not _is_of_this_machine(config, one)}
    known = kept(_Known)
    if others != known.others or time.monotonic() >= known.until:
        known.others, known.inboxes = others, _unseen(config, others) if others else ()
        known.until = time.monotonic() + (_AGAIN_SECONDS if known.inboxes else _SECONDS)
    return known.inboxes


def down(config: Config, sets: Sequence[FolderSet]) -> dict[str, str]:
    """Inboxes with arrivals under way at a machine whose watcher ended, while another folder has their path here: the
    name of that machine, by path. Raises DatabaseError."""
    if not sets or connection.vendor == "sqlite":
        return {}
    found = candidates.watchers()
    last = [(one, found.get((one.route.key, str(one.inbox)))) for one in sets]
    return {
        str(one.inbox): Doer.of(watcher.name).host
        for one, watcher in last
        if watcher and not watcher.acts and not _is_of_this_machine(config, watcher)
        if not _sees(one, watcher) and _are_elsewhere(one)
    }


def _are_elsewhere(folders: FolderSet) -> bool:
    """Whether arrivals of the inbox are under way, and processing here does not hold them. It has no marker if its disk
    was full, or could not be written to."""
    inbox = str(folders.inbox)
    rows = Arrival.objects.filter(route=folders.route.key, inbox=inbox, finished_at__isnull=True)
    if markers.read(folders) is None and rows.filter(id__in=_held_in(folders)).exists():
        return False
    return rows.exists()


def _held_in(folders: FolderSet) -> list[str]:
    """The ids of the arrivals in processing, or of many of them."""
    with suppress(OSError), os.scandir(folders.processing) as entries:
        return [entry.name.rpartition("-")[0] for entry in islice(entries, _ENOUGH)]
    return []


def _is_of_this_machine(config: Config, watcher: Watcher) -> bool:
    """By its name, too, if it ended: what tells a running system apart changes when the machine starts again."""
    if holder.is_of_this_machine(config.data, watcher.name):
        return True
    return not watcher.acts and Doer.of(watcher.name).host == socket.gethostname()


def _unseen(config: Config, others: Mapping[Place, Watcher]) -> Collection[str]:
    sets = [one for route in config.routes.values() for one in folder_sets(route, make=False)]
    here = {(one.route.key, str(one.inbox)): one for one in sets}
    return frozenset(place[1] for place, one in others.items() if not _sees(here.get(place), one))


def _sees(folders: FolderSet | None, watcher: Watcher) -> bool:
    """One that ended may have taken its name out of the marker; that of its machine stays."""
    mark = markers.read(folders) if folders else None
    if mark is None:
        return False
    return mark.watcher == watcher.name or (not watcher.acts and mark.host == Doer.of(watcher.name).host)


def sees(folders: FolderSet, watcher: str) -> bool:
    """Whether these are the folders that a watcher acts on: its name is in their marker."""
    return _sees(folders, Watcher(watcher, acts=True))
