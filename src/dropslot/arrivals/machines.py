"""What the sentinels of all machines have written down: which trees of processes there are, how each process is, what
only its machine sees, and which trees have vanished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Q
from django.db.models.functions import Now

from dropslot.arrivals.candidates import Doer
from dropslot.arrivals.models import Sentinel
from dropslot.arrivals.registry import Late
from dropslot.core.names import escape
from dropslot.core.showing.amounts import lasting
from dropslot.core.troubles import TroubleKind

Tree = Literal["service", "portal", "worker", "beat", "sentinel"]
TITLES: dict[str, str] = {
    "service": "service",
    "portal": "portal",
    "worker": "workers",
    "beat": "beat",
    "sentinel": "sentinel",
}
LEASE = timedelta(seconds=45)  # of a sentinel; longer if it looks less often
LONGEST_LEASE = timedelta(hours=1)
DEAD_SECONDS = 30.0  # the service starts a process that ended again, most within a second
SILENT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Machine:
    """One tree of processes. `is_alive`: its sentinel has renewed its lease in time, which ends at `until`."""

    name: str
    tree: str
    since: datetime
    until: datetime
    is_alive: bool
    processes: Sequence[dict[str, Any]]
    late: Sequence[Late]

    @property
    def title(self) -> str:
        """For people: `service on drop1 (pid 812)`."""
        return f"{TITLES.get(self.tree, self.tree)} on {Doer.of(self.name)}"

    @property
    def host(self) -> str:
        """The name of its machine, escaped."""
        return escape(Doer.of(self.name).host)

    def as_json(self) -> dict[str, Any]:
        """With the keys of `health --json`."""
        return {
            "tree": self.tree,
            "host": self.host,
            "pid": int(Doer.of(self.name).pid or 0),
            "alive": self.is_alive,
            "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}",
            "processes": list(self.processes) if self.is_alive else [],
        }


def lapsed() -> Q:
    """Sentinels that have not renewed their lease in time, by the database's clock; and leases from before that clock
    was set back."""
    return Q(until__lte=Now()) | Q(until__gt=Now() + LONGEST_LEASE)


def known() -> list[Machine]:
    """All trees of processes, the oldest first. Raises DatabaseError."""
    alive = set(Sentinel.objects.exclude(lapsed()).values_list("name", flat=True))
    return [_machine(row, row.name in alive) for row in Sentinel.objects.order_by("since", "name")]


def _machine(row: Sentinel, is_alive: bool) -> Machine:
    late = []
    for made in row.late:
        with suppress(KeyError, ValueError, TypeError):  # of another version
            late.append(Late.from_json(made))
    return Machine(row.name, row.tree, row.since, row.until, is_alive, row.processes, late)


def late(machines: Sequence[Machine], now: datetime) -> Iterator[Late]:
    """What the machines that are alive see, and those that have vanished."""
    for one in machines:
        if one.is_alive:
            yield from one.late
        else:
            yield _vanished(one, now)


def _vanished(one: Machine, now: datetime) -> Late:
    age = lasting(max(0.0, (now - one.until).total_seconds()))
    what = (
        f"its processes were killed, or its machine is away: no sign of life for {age}. What it had begun is finished"
        " when it starts again, or by others"
    )
    remedy = f"start it there; if it is gone for good: dropslot health --forget {short(one.name)}"
    return Late(one.title, what, remedy, kind=TroubleKind.PROCESS, since=one.until)


def short(name: str) -> str:
    """What people type for a sentinel: the last part of its name."""
    return name.rpartition(":")[2]


def forget(typed: str) -> Machine | None:
    """Remove a tree that has vanished for good; None: there is no such one. Raises DatabaseError."""
    for one in known():
        if short(one.name) == typed and not one.is_alive:
            Sentinel.objects.filter(name=one.name).filter(lapsed()).delete()
            return one
    return None
