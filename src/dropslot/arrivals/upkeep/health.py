"""Whether all is in time: for monitoring, which asks often. `doctor` examines more, and more slowly."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min
from django.utils import timezone

from dropslot.arrivals import candidates, registry
from dropslot.arrivals.candidates import Held
from dropslot.arrivals.delivery.refusals import DISMISSED, PURGED
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.registry import Late
from dropslot.arrivals.upkeep import markers, space
from dropslot.config import Config, current
from dropslot.config.folders import folder_sets
from dropslot.core.concealing import conceal
from dropslot.core.names import escape
from dropslot.core.rarely import Rarely
from dropslot.core.showing.counting import counted
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.running import daemon

log = structlog.get_logger()
_SECONDS = 5.0
# After these, somebody should look. A retrying arrival heals by itself when its destination does.
READY_LATE = timedelta(minutes=15)
RETRYING_LATE = timedelta(hours=1)
FAILED_LATE = timedelta(days=1)
UNWATCHED_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Arrivals in one state; `oldest`: when the first of them was dropped."""

    count: int = 0
    oldest: datetime | None = None

    def seconds(self, now: datetime) -> int | None:
        """How long the oldest has waited."""
        return max(0, int((now - self.oldest).total_seconds())) if self.oldest else None


@dataclass(frozen=True, slots=True)
class Health:
    """What was found. Numbers are None if the database does not answer."""

    at: datetime
    watcher: bool
    database: bool
    ready: Waiting | None = None
    retrying: Waiting | None = None
    failed: int | None = None
    space: Sequence[space.Disk] = ()
    late: Sequence[Late] = field(default_factory=list)
    inboxes: Sequence[Held] = ()  # who watches each

    @property
    def is_well(self) -> bool:
        """Whether nothing is late."""
        return not self.late

    def as_json(self) -> dict[str, Any]:
        """With the keys of `health --json`."""
        return {
            "status": "ok" if self.is_well else "late",
            "late": [self._late(one) for one in self.late],
            "watcher": self.watcher,
            "database": self.database,
            "ready": self._shown(self.ready),
            "retrying": self._shown(self.retrying),
            "failed": self.failed,
            "inboxes": [one.as_json() for one in self.inboxes],
            "space": [
                {"folder": escape(one.holds[0]), "percent_full": one.percent, "free_bytes": one.free_bytes}
                for one in self.space
            ],
        }

    def _late(self, one: Late) -> dict[str, Any]:
        seconds = max(0, int((self.at - one.since).total_seconds())) if one.since else None
        shown = {"kind": one.kind.value, "about": one.about, "what": one.what, "remedy": one.remedy}
        return shown | {"route": one.route, "late_seconds": seconds}

    def _shown(self, waiting: Waiting | None) -> dict[str, Any] | None:
        if waiting is None:
            return None
        return {"count": waiting.count, "oldest_seconds": waiting.seconds(self.at)}


class Examined:
    """What this process found last, a few seconds old at most."""

    def __init__(self) -> None:
        self._found = Rarely(lambda: examine(current()), seconds=_SECONDS)

    def get(self) -> Health:
        """It, examined anew if it is old. Never raises."""
        return self._found.get()


def examine(config: Config) -> Health:
    """Look at watcher, database, queue, failed arrivals, log readers and disks. Changes nothing, and never raises."""
    now = timezone.now()
    since, late = _watcher(config)
    runs = since is not None
    disks = space.disks(config)
    late += [_too_full(disk) for disk in disks if disk.is_filling]
    try:
        inboxes = candidates.inboxes(config)
        ready, retrying = map(_waiting, (State.READY, State.RETRYING))
        failed, failed_late = _failed(now)
        late += _of_others(config)
        late += [*_queues(ready, retrying, now), *failed_late, *registry.late(config)]
    except (DatabaseError, InterfaceError) as error:
        log.warning("The database does not answer", action="database_unavailable", error=str(error))
        remedy = "start it; nothing is lost meanwhile"
        away = Late("database", "it does not answer", remedy, kind=TroubleKind.DATABASE)
        return Health(now, runs, database=False, space=disks, late=_concealed([*late, away]))
    if _all_watched(inboxes):  # by this machine or others
        runs, late = True, [one for one in late if one.about != "watcher"]
    elif since is not None and now - since > UNWATCHED_LATE:
        late += list(_unwatched(inboxes))
    return Health(now, runs, True, ready, retrying, failed, disks, _concealed(late), inboxes)


def _all_watched(inboxes: Sequence[Held]) -> bool:
    return bool(inboxes) and all(one.holder for one in inboxes)


def _unwatched(inboxes: Sequence[Held]) -> Iterator[Late]:
    for one in inboxes:
        if one.holder is None and os.path.isdir(one.inbox):
            what = "no watcher acts on it, though one runs here"
            remedy = "dropslot watcher_status; then see watcher.out"
            yield Late(f"inbox {escape(one.inbox)}", what, remedy, one.route, kind=TroubleKind.INBOX)


def _of_others(config: Config) -> list[Late]:
    sets = (one for route in config.routes.values() for one in folder_sets(route, make=False))
    found = ((folders.route.key, one) for folders in sets for one in markers.examine(folders))
    return [Late(f"route {route}", one.what, one.remedy, route, kind=TroubleKind.INBOX) for route, one in found]


def _concealed(late: Sequence[Late]) -> list[Late]:
    return [replace(one, what=conceal(one.what), remedy=conceal(one.remedy)) for one in late]


def _watcher(config: Config) -> tuple[datetime | None, list[Late]]:
    """Since when it runs on this machine."""
    try:
        if since := daemon.status(config).since:
            return since, []
        stopped = Late("watcher", "it is not running", "dropslot start_watcher", kind=TroubleKind.WATCHER)
        return None, [stopped]
    except OSError as error:
        what = f"whether it is running cannot be found out: {error.strerror}"
        remedy = "run this as the account of the service"
        return None, [Late("watcher", what, remedy, kind=TroubleKind.WATCHER)]


def _too_full(disk: space.Disk) -> Late:
    limit = f" (warn: {disk.warn_at:g} %)" if disk.warn_at is not None else ""
    what = f"it is {disk.percent} % full{limit}"
    return Late(f"disk of {escape(disk.holds[0])}", what, "free space there", kind=TroubleKind.SPACE)


def _waiting(state: State) -> Waiting:
    # What is held waits for a person, for as long as that person likes.
    found = Arrival.objects.filter(state=state, held_at__isnull=True).aggregate(
        count=Count("pk"), oldest=Min("dropped_at")
    )
    return Waiting(**found)


def _queues(ready: Waiting, retrying: Waiting, now: datetime) -> Iterator[Late]:
    if ready.oldest and now - ready.oldest > READY_LATE:
        what = (
            f"{counted(ready.count, 'arrival')} wait for a worker, the oldest for {_age(now - ready.oldest)}"
        )
        since = ready.oldest + READY_LATE
        yield Late("queue", what, "dropslot pending", kind=TroubleKind.WAITING, since=since)
    if retrying.oldest and now - retrying.oldest > RETRYING_LATE:
        age = _age(now - retrying.oldest)
        what = f"{counted(retrying.count, 'arrival')} cannot be delivered yet, the oldest for {age}"
        since = retrying.oldest + RETRYING_LATE
        yield Late("deliveries", what, "dropslot pending says why", kind=TroubleKind.RETRYING, since=since)


def _failed(now: datetime) -> tuple[int, list[Late]]:
    """How many arrivals failed that nobody has decided about, and whether that takes too long."""
    rows = Arrival.objects.filter(state=State.FAILED)
    undecided = rows.exclude(evidence__has_key=DISMISSED).exclude(evidence__has_key=PURGED)
    found = undecided.aggregate(count=Count("pk"), oldest=Min("finished_at"))
    count, oldest = found["count"], found["oldest"]
    if oldest is None or now - oldest <= FAILED_LATE:
        return count, []
    what = f"{counted(count, 'arrival')} failed and nobody decided, the oldest {_age(now - oldest)} ago"
    remedy, since = "dropslot arrivals --state failed; then retry or dismiss", oldest + FAILED_LATE
    return count, [Late("failed arrivals", what, remedy, kind=TroubleKind.FAILED, since=since)]


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"
