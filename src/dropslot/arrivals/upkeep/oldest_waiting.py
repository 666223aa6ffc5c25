"""What waits, and for how long: arrivals that no worker has begun, that cannot be delivered yet, that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q, QuerySet

from dropslot.arrivals.delivery.refusal_reason import DISMISSED, PURGED
from dropslot.arrivals.intake.waiting_entries import NOT_WHOLE
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.registry import Late
from dropslot.config import Config, Route
from dropslot.config.route_parts import LateAfter
from dropslot.core.showing.amounts import lasting
from dropslot.core.showing.quantities import counted
from dropslot.core.states import State
from dropslot.core.troubles import TroubleKind
from dropslot.running.ages import Ages

_WAITS = (State.WAITING, State.READY, State.RETRYING)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Arrivals in one state; `oldest`: when the first of them was dropped."""

    count: int = 0
    oldest: datetime | None = None

    def seconds(self, now: datetime) -> int | None:
        """How long the oldest has waited."""
        return max(0, int((now - self.oldest).total_seconds())) if self.oldest else None


@dataclass(frozen=True, slots=True)
class Oldest:
    """The arrival that has waited longest."""

    id: str
    route: str
    state: str
    dropped_at: datetime

    def as_json(self, now: datetime) -> dict[str, Any]:
        """With the keys of `health --json`."""
        seconds = max(0, int((now - self.dropped_at).total_seconds()))
        return {"arrival": self.id, "route": self.route, "state": self.state, "seconds": seconds}


class Queues:
    """What waits now, and what failed, by state and route. Raises DatabaseError."""

    def __init__(self) -> None:
        self._of = {state: _groups(_waiting().filter(state=state), "dropped_at") for state in _WAITS}
        self._of[State.FAILED] = _groups(_undecided(), "finished_at")

    def waiting(self, state: State) -> Waiting:
        """How many wait in a state, on all routes."""
        groups = self._of[state]
        firsts = [one.first for one in groups if one.first]
        return Waiting(sum(one.number for one in groups), min(firsts, default=None))

    def oldest(self) -> Oldest | None:
        """Of all that waits. Raises DatabaseError."""
        firsts = [(at, state) for state in _WAITS if (at := self.waiting(state).oldest)]
        if not firsts:
            return None
        at, state = min(firsts)
        row = _waiting().filter(state=state, dropped_at=at).order_by("id").first()
        return Oldest(row.id, row.route, row.state, row.dropped_at) if row else None

    def late(self, config: Config, ages: Ages, now: datetime) -> Iterator[Late]:
        """What waits for longer than `late_after` of its route."""
        for state, groups in self._of.items():
            for one in groups:
                limit = _LIMITS[state](_limits(config.routes.get(one.route)))
                age = ages.age(one.first, now) if one.first else timedelta(0)
                if age > limit:
                    yield _LATE[state](one.route, one.number, lasting(age.total_seconds()), now - age + limit)


class _Group(NamedTuple):
    route: str
    number: int
    first: datetime | None


def _groups(rows: QuerySet[Arrival], at: str) -> list[_Group]:
    grouped = rows.order_by().values_list("route").annotate(Count("pk"), Min(at))
    return [_Group(*one) for one in grouped]


def _waiting() -> QuerySet[Arrival]:
    """What waits for dropslot: not for a person who holds it, nor for a sender who has not finished."""
    of_senders = Q(state=State.WAITING, evidence__has_key=NOT_WHOLE)
    return Arrival.objects.filter(held_at__isnull=True).exclude(of_senders)


def _undecided() -> QuerySet[Arrival]:
    """Failed arrivals that nobody has decided about."""
    rows = Arrival.objects.filter(state=State.FAILED)
    return rows.exclude(evidence__has_key=DISMISSED).exclude(evidence__has_key=PURGED)


def _limits(route: Route | None) -> LateAfter:
    return LateAfter.model_validate({}) if route is None else route.late_after


def _ready(route: str, count: int, age: str, since: datetime) -> Late:
    what = f"{_wait(count)} for a worker, the oldest for {age}"
    return Late(f"queue of {route}", what, "dropslot pending", route, kind=TroubleKind.WAITING, since=since)


def _in_the_inbox(route: str, count: int, age: str, since: datetime) -> Late:
    what = f"{_wait(count)} in the inbox and cannot be taken, the oldest for {age}"
    about, remedy = f"inbox of {route}", "dropslot pending says why"
    return Late(about, what, remedy, route, kind=TroubleKind.WAITING, since=since)


def _retrying(route: str, count: int, age: str, since: datetime) -> Late:
    what = f"{counted(count, 'arrival')} cannot be delivered yet, the oldest for {age}"
    about, remedy = f"deliveries of {route}", "dropslot pending says why"
    return Late(about, what, remedy, route, kind=TroubleKind.RETRYING, since=since)


def _failed(route: str, count: int, age: str, since: datetime) -> Late:
    what = f"{counted(count, 'arrival')} failed and nobody decided, the oldest {age} ago"
    about, remedy = f"failed arrivals of {route}", "dropslot arrivals --state failed; then retry or dismiss"
    return Late(about, what, remedy, route, kind=TroubleKind.FAILED, since=since)


def _wait(count: int) -> str:
    return f"{counted(count, 'arrival')} {'waits' if count == 1 else 'wait'}"


_LIMITS = {
    State.WAITING: lambda limits: limits.waiting,
    State.READY: lambda limits: limits.waiting,
    State.RETRYING: lambda limits: limits.retrying,
    State.FAILED: lambda limits: limits.failed,
}
_LATE = {State.WAITING: _in_the_inbox, State.READY: _ready, State.RETRYING: _retrying, State.FAILED: _failed}
