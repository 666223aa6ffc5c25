"""Who does which duty, and who stands by, as the database knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from dropslot.arrivals.models import Candidate, Duty
from dropslot.config import Config
from dropslot.config.route_folders import folder_sets
from dropslot.core.names import escape

LEASE = timedelta(seconds=10)
BEAT = "beat"
WATCHER = "watcher"
_WATCH = "watch"


def watching(route: str, inbox: str) -> str:
    """The name of the duty of watching one inbox."""
    return f"{_WATCH}:{route}:{inbox}"


def in_words(duty: str) -> str:
    """What its holder does, after "Acts on"."""
    what, _, rest = duty.partition(":")
    route, _, inbox = rest.partition(":")
    return f"the inbox {escape(inbox)} of route {route}" if what == _WATCH else escape(duty)


def lapsed() -> Q:
    """Candidates whose lease is over, by the database's clock."""
    # A lease that long was written before that clock was set back.
    return Q(until__lte=Now()) | Q(until__gt=Now() + 2 * LEASE)


@dataclass(frozen=True, slots=True)
class Doer:
    """A candidate for people: its host, and its process id there."""

    host: str
    pid: str

    @classmethod
    def of(cls, name: str) -> Doer:
        """By the name of its lock: HOST.MARK:PID:RANDOM."""
        place, pid, _ = f"{name}::".split(":", 2)
        return cls(place.rpartition(".")[0] or place, pid)

    def __str__(self) -> str:
        return f"{escape(self.host)} (pid {escape(self.pid)})"


@dataclass(frozen=True, slots=True)
class Held:
    """One duty: who does it (None: nobody now), since when, and who stands by; for an inbox its route and path. `last`:
    who does it, or did it last."""

    duty: str
    holder: Doer | None
    since: datetime | None
    standing_by: tuple[Doer, ...]
    route: str = ""  # of an inbox
    inbox: str = ""
    last: Doer | None = None

    def as_json(self) -> dict[str, Any]:
        """With the keys of `watcher_status --json`."""
        return {
            "route": self.route,
            "inbox": escape(self.inbox),
            "acts": str(self.holder) if self.holder else None,
            "since": self.since.strftime("%Y-%m-%dT%H:%M:%SZ") if self.holder and self.since else None,
            "stand_by": [str(one) for one in self.standing_by],
        }

    def in_words(self) -> str:
        """A clause without a subject."""
        acts = f"{self.holder} acts" if self.holder else "nobody acts"
        rest = ", ".join(map(str, self.standing_by))
        return f"{acts}; {rest} {'stands' if len(self.standing_by) == 1 else 'stand'} by" if rest else acts


def names() -> list[str]:
    """The candidates whose lease is valid. Raises DatabaseError."""
    return list(Candidate.objects.exclude(lapsed()).values_list("name", flat=True))


def watches() -> bool:
    """Whether any watcher is alive, on whatever machine. Raises DatabaseError."""
    return Candidate.objects.exclude(lapsed()).filter(role=WATCHER).exists()


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who acts on an inbox, or did so last and nobody does now."""

    name: str
    acts: bool


def watchers() -> dict[tuple[str, str], Watcher]:
    """The watcher of each inbox, by route and path; inboxes that nobody ever acted on are left out. Raises
    DatabaseError."""
    alive = set(names())
    rows = Duty.objects.filter(name__startswith=f"{_WATCH}:").values_list("name", "holder", "last")
    found = {}
    for duty, holder, last in rows:
        _, route, inbox = duty.split(":", 2)
        if who := holder if holder in alive else last or holder:
            found[route, inbox] = Watcher(who, holder in alive)
    return found


def inboxes(config: Config) -> list[Held]:
    """Who watches each inbox. Raises DatabaseError."""
    sets = [folders for route in config.routes.values() for folders in folder_sets(route, make=False)]
    places = {watching(one.route.key, str(one.inbox)): (one.route.key, str(one.inbox)) for one in sets}
    return [replace(one, route=places[duty][0], inbox=places[duty][1]) for duty, one in held(places).items()]


def are_several(watched: Iterable[Held]) -> bool:
    """Whether more than one process watches or stands by."""
    return len({doer for one in watched for doer in (one.holder, *one.standing_by) if doer}) > 1


def held(duties: Iterable[str]) -> dict[str, Held]:
    """The present state of duties, by their names. Raises DatabaseError."""
    wanted = list(duties)
    alive = {one.name: set(one.wants) for one in Candidate.objects.exclude(lapsed()).order_by("name")}
    rows = Duty.objects.in_bulk(wanted)
    return {duty: _held(duty, rows.get(duty), alive) for duty in wanted}


def _held(duty: str, row: Duty | None, alive: dict[str, set[str]]) -> Held:
    holder = row.holder if row and row.holder in alive else None
    others = tuple(Doer.of(name) for name, wants in alive.items() if duty in wants and name != holder)
    last = (row.last or row.holder) if row else ""
    since = row.since if row and holder else None
    return Held(
        duty, Doer.of(holder) if holder else None, since, others, last=Doer.of(last) if last else None
    )
