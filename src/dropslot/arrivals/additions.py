"""Where apps on top of the arrivals plug in, as their `ready` says: columns of history, processes of the service,
findings of `doctor`.

This layer knows none of them: without them it works the same, and shows nothing of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from django.db.models import QuerySet

from dropslot.arrivals.models import Delivery
from dropslot.config import Config
from dropslot.running.stopping import Signal

if TYPE_CHECKING:
    from dropslot.arrivals.upkeep.doctor import Finding


class Acknowledged(Protocol):
    """Who fetched a delivery first, and when."""

    @property
    def at(self) -> datetime: ...

    @property
    def user(self) -> str: ...


class Acknowledging(Protocol):
    """Knows which deliveries were fetched."""

    def first(self, rows: Sequence[Delivery]) -> Mapping[int, Acknowledged]:
        """By the delivery's id; asked once for many rows."""

    def without(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Those of the rows that were delivered and that nobody acknowledged."""


class Process(NamedTuple):
    """One more process of the service. `wanted` says whether a configuration needs it; `prove` raises before the start
    for what time cannot heal."""

    name: str
    wanted: Callable[[Config], bool]
    prove: Callable[[Config], None]
    body: Callable[[Config, Signal], None]


class _Nothing:
    def first(self, rows: Sequence[Delivery]) -> Mapping[int, Acknowledged]:  # noqa: ARG002
        return {}

    def without(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return rows


acknowledging: Acknowledging = _Nothing()
processes: list[Process] = []
Examine = Callable[[Config], Iterable["Finding"]]
examiners: list[Examine] = []


def acknowledged_by(knows: Acknowledging) -> None:
    """Let history show what `knows` knows."""
    global acknowledging
    acknowledging = knows


def served_by(process: Process) -> None:
    """Let the service have one more process where it is wanted; of several with one name the last one counts."""
    processes[:] = [other for other in processes if other.name != process.name]
    processes.append(process)


def wanted_by(config: Config) -> list[Process]:
    """The processes that a configuration needs besides the service's own. Raises what their `prove` raises."""
    wanted = [process for process in processes if process.wanted(config)]
    for process in wanted:
        process.prove(config)
    return wanted


def examined_by(examine: Examine) -> None:
    """Let `doctor` look at one thing more."""
    if examine not in examiners:
        examiners.append(examine)
