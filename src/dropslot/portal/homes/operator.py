"""An operator's view: what runs, what is arriving, what waits or failed and why, and how much space is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import Count

from dropslot.access.roles import OPERATES
from dropslot.access.seen import Access
from dropslot.arrivals import candidates
from dropslot.arrivals.candidates import Held
from dropslot.arrivals.listings import failures
from dropslot.arrivals.listings.arriving import arriving
from dropslot.arrivals.listings.failures import Failed
from dropslot.arrivals.registry import Late
from dropslot.arrivals.space import lateness
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.upkeep.health import Examined, Health
from dropslot.config import Route
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.portal.homes.days import chart
from dropslot.portal.homes.section import Section
from dropslot.portal.verifying import runs
from dropslot.portal.verifying.runs import Run
from dropslot.running import daemon

_GROUPS = 12
_SHOWN_ELSEWHERE = (TroubleKind.WATCHER, TroubleKind.FAILED, TroubleKind.SPACE)
_DISKS = 8
_LATEST = 500  # arrivals that are looked through for the latest one of each route


class Watcher(NamedTuple):
    """Whether arrivals are taken now, here or on another machine; `fault` says why that is not known. `inboxes`: who
    acts on each and who stands by, if there is more than one watcher."""

    running: bool
    since: Any = None
    pid: int | None = None
    fault: str = ""
    inboxes: Sequence[Held] = ()


@dataclass(frozen=True, slots=True)
class RouteNow:
    """One route: how many arrivals are in which state, and when the latest one was received."""

    route: Route
    waiting: int
    working: int
    failed: int
    latest: Any


def facts(access: Access) -> dict[str, Any]:
    """Of all routes that the account operates."""
    routes = access.routes(OPERATES)
    failed = list(failures.failed(access.operable()))
    groups, held_up = failures.groups(failed), failures.groups(failures.held_up(access.operable()))
    watcher = watcher_now(access)
    unsound = _unsound(access)
    health = kept(Examined).get()
    space = access.spaces(health.space)
    filling = [one for one in space if one.is_filling or one.is_full]
    late = _late(access, health)
    return {
        "watcher": watcher,
        "routes": _routes_now(access, routes, failed),
        "arriving": arriving(access.config, routes, access.operable()),
        "failed": groups[:_GROUPS],
        "failed_count": len(failed),
        "failed_more": len(failed) >= failures.AT_MOST,
        "groups_more": max(0, len(groups) - _GROUPS),
        "held_up": held_up[:_GROUPS],
        "disks": [one for one in space if one.sort == "disk"][:_DISKS],
        "filling": [(one, _in_words(one)) for one in filling[:_DISKS]],
        "filling_more": max(0, len(filling) - _DISKS),
        "late": late,
        "oldest": health.oldest if access.sees_all_routes() else None,
        "now": health.at,
        "machines": health.machines if access.sees_all_routes() else (),
        "chart": chart(access),
        "unsound": unsound,
        "urgent": bool(groups or unsound or late) or not watcher.running or bool(filling),
    }


def _in_words(space: Space) -> str:
    return lateness.full(space) if space.is_full else lateness.filling(space)


def _unsound(access: Access) -> list[Run]:
    """The last verifications if they found faults, for who sees all routes: their faults name files of all."""
    found = runs.latest(access.config) if access.sees_all_routes() else []
    return [run for run in found if run.outcome == "faults"]


class LateNow(NamedTuple):
    """One thing that is late, and by how many seconds, if that is known."""

    late: Late
    seconds: int | None


def _late(access: Access, health: Health) -> list[LateNow]:
    """Of the routes that the account operates, and of the machines for who sees all routes; not what the page shows
    elsewhere."""
    operated = {route.key for route in access.routes(OPERATES)}
    seen = [one for one in health.late if (one.route in operated if one.route else access.sees_all_routes())]
    shown = [one for one in seen if one.kind not in _SHOWN_ELSEWHERE]
    return [LateNow(one, by if (by := health.late_seconds(one)) and by >= 60 else None) for one in shown]


def watcher_now(access: Access) -> Watcher:
    """The state of the watcher of this installation."""
    inboxes = candidates.inboxes(access.config)
    acting = [one for one in inboxes if one.holder]
    everywhere = bool(acting) and len(acting) == len(inboxes)
    operated = {route.key for route in access.routes(OPERATES)}
    shown = [one for one in inboxes if one.route in operated] if candidates.are_several(inboxes) else []
    try:
        status = daemon.status(access.config)
    except (OSError, DropslotError) as error:
        return Watcher(everywhere, fault="" if everywhere else str(error), inboxes=shown)
    since = status.since or max((one.since for one in acting if one.since), default=None)
    return Watcher(status.running or everywhere, since, status.pid, inboxes=shown)


def _routes_now(access: Access, routes: Sequence[Route], failed: Sequence[Failed]) -> list[RouteNow]:
    unfinished = (State.WAITING, State.READY, State.PROCESSING, State.RETRYING)
    rows = access.operable().filter(state__in=unfinished).order_by()
    counts = Counter(
        {(route, state): n for route, state, n in rows.values_list("route", "state").annotate(Count("id"))}
    )
    refused = Counter(row.route for row in failed)
    latest: dict[str, Any] = {}
    newest = access.operable().order_by("-id").values_list("route", "received_at")
    for key, at in islice(newest[:_LATEST], _LATEST):
        latest.setdefault(key, at)
    return [
        RouteNow(
            route,
            sum(counts[route.key, state] for state in (State.WAITING, State.RETRYING)),
            sum(counts[route.key, state] for state in (State.READY, State.PROCESSING)),
            refused[route.key],
            latest.get(route.key),
        )
        for route in routes
    ]


SECTION = Section("operator", OPERATES, facts, seconds=4.0)
