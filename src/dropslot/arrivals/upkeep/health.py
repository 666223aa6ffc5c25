"""Whether all is in time: for monitoring, which asks often. `doctor` examines more, and more slowly."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError

from dropslot.arrivals import candidates, registry
from dropslot.arrivals.candidates import Held
from dropslot.arrivals.machines import Machine, known
from dropslot.arrivals.machines import late as late_machines
from dropslot.arrivals.models import OpenTrouble
from dropslot.arrivals.registry import Late
from dropslot.arrivals.space import lateness, spaces
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.upkeep.oldest_waiting import Oldest, Queues, Waiting
from dropslot.config import Config, current
from dropslot.config.route_folders import folder_sets
from dropslot.core.concealing import conceal
from dropslot.core.names import escape
from dropslot.core.rarely import Rarely
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.running import daemon
from dropslot.running.ages import Ages

log = structlog.get_logger()
_SECONDS = 5.0
UNWATCHED_LATE = timedelta(minutes=1)  # after the start of a watcher


@dataclass(frozen=True, slots=True)
class Health:
    """What was found. Numbers are None if the database does not answer."""

    at: datetime
    watcher: bool
    database: bool
    ready: Waiting | None = None
    retrying: Waiting | None = None
    failed: int | None = None
    oldest: Oldest | None = None
    space: Sequence[Space] = ()
    late: Sequence[Late] = field(default_factory=list)
    inboxes: Sequence[Held] = ()  # who watches each
    machines: Sequence[Machine] = ()

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
            "oldest": self.oldest.as_json(self.at) if self.oldest else None,
            "inboxes": [one.as_json() for one in self.inboxes],
            "machines": [one.as_json() for one in self.machines],
            "space": [
                {"folder": escape(one.folders[0]), "percent_full": one.percent, "free_bytes": one.free_bytes}
                for one in self.space
                if one.free_bytes is not None
            ],
        }

    def late_seconds(self, one: Late) -> int | None:
        """By how much it is late; None: that is not known."""
        return max(0, int((self.at - one.since).total_seconds())) if one.since else None

    def _late(self, one: Late) -> dict[str, Any]:
        shown = {"kind": one.kind.value, "about": one.about, "what": one.what, "remedy": one.remedy}
        return shown | {"route": one.route, "late_seconds": self.late_seconds(one)}

    def _shown(self, waiting: Waiting | None) -> dict[str, Any] | None:
        if waiting is None:
            return None
        return {"count": waiting.count, "oldest_seconds": waiting.seconds(self.at)}


class Examined:
    """What this process found last, a few seconds old at most."""

    def __init__(self) -> None:
        ages = Ages()
        self._found = Rarely(lambda: examine(current(), ages), seconds=_SECONDS)

    def get(self) -> Health:
        """It, examined anew if it is old. Never raises."""
        return self._found.get()


def examine(config: Config, ages: Ages | None = None) -> Health:
    """Look at watchers, database, queue, failed arrivals, log readers, disks and machines. Changes nothing, and never
    raises. `ages` of a process that examines again and again know of jumps of the clock."""
    ages = ages or Ages()
    now = ages.look()
    since, late = _watcher(config)
    try:
        found = _of_database(config, ages, now, since)
        late = [one for one in late if one.kind is not TroubleKind.WATCHER] if found.watcher else late
        space = spaces.look(config)
        # What is found here comes last, so that it counts, not what this machine said of it before.
        late += [*found.late, *_of_others(config), *lateness.late(space)]
        late = _since_they_were_said(late)
    except (DatabaseError, InterfaceError) as error:
        log.warning("The database does not answer", action="database_unavailable", error=str(error))
        remedy = "start it; nothing is lost meanwhile"
        away = Late("database", "it does not answer", remedy, kind=TroubleKind.DATABASE)
        runs = since is not None
        here = spaces.look_here(config)
        late = _shown(config, [*late, *lateness.late(here), away])
        return Health(now, runs, database=False, space=here, late=late)
    return replace(found, space=space, late=_shown(config, {one.key: one for one in late}.values()))


def _of_database(config: Config, ages: Ages, now: datetime, since: datetime | None) -> Health:
    """What the database knows. Raises DatabaseError and InterfaceError."""
    inboxes = candidates.inboxes(config)
    watches_elsewhere = candidates.watches() or any(one.holder for one in inboxes)
    is_up = watches_elsewhere if since is None else ages.age(since, now) > UNWATCHED_LATE
    unwatched = _unwatched(inboxes) if is_up else ()
    machines = known()
    queues = Queues()
    late = [
        *unwatched,
        *queues.late(config, ages, now),
        *registry.late(config),
        *late_machines(machines, now),
    ]
    return Health(
        now,
        since is not None or watches_elsewhere,
        True,
        queues.waiting(State.READY),
        queues.waiting(State.RETRYING),
        queues.waiting(State.FAILED).count,
        queues.oldest(),
        late=late,
        inboxes=inboxes,
        machines=machines,
    )


def _since_they_were_said(late: Sequence[Late]) -> list[Late]:
    """Where it is not known since when something is so, it is so at least since it was said."""
    said = dict(OpenTrouble.objects.values_list("key", "began_at"))
    return [replace(one, since=said.get(one.key)) if one.since is None else one for one in late]


def _unwatched(inboxes: Sequence[Held]) -> Iterator[Late]:
    for one in inboxes:
        if one.holder is None:
            where = "" if os.path.isdir(one.inbox) else "it does not exist here, and "
            last = f"; {one.last} did last" if one.last else ""
            what = f"{where}no watcher acts on it, though one runs{last}"
            remedy = "dropslot watcher_status; then see watcher.out"
            yield Late(f"inbox {escape(one.inbox)}", what, remedy, one.route, kind=TroubleKind.INBOX)


def _of_others(config: Config) -> list[Late]:
    sets = (one for route in config.routes.values() for one in folder_sets(route, make=False))
    found = ((folders.route.key, one) for folders in sets for one in markers.examine(folders))
    return [
        Late(f"route {route}", one.what, one.remedy, route, kind=TroubleKind.INBOX, is_local=True)
        for route, one in found
    ]


def _shown(config: Config, late: Iterable[Late]) -> list[Late]:
    wanted = (one for one in late if one.kind not in config.health.ignore)
    return [replace(one, what=conceal(one.what), remedy=conceal(one.remedy)) for one in wanted]


def _watcher(config: Config) -> tuple[datetime | None, list[Late]]:
    """Since when it runs on this machine."""
    try:
        since = daemon.status(config).since
    except OSError as error:
        what = f"whether it is running cannot be found out: {error.strerror}"
        remedy = "run this as the account of the service"
        return None, [Late("watcher", what, remedy, kind=TroubleKind.WATCHER)]
    if since is not None:
        return since, []
    return None, [Late("watcher", "it is not running", "dropslot start_watcher", kind=TroubleKind.WATCHER)]
