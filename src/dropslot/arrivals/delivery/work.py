"""One arrival in the hands of one worker, for one epoch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

from dropslot.arrivals.models import Arrival, Place
from dropslot.config import Config, Route
from dropslot.config.folders import FolderSet
from dropslot.contents.base import Contents, Staged
from dropslot.core import manifests
from dropslot.core.errors import DropslotError
from dropslot.destinations.base import Destination, Drop, Planned, Target
from dropslot.files.listing import Listing


class Row(NamedTuple):
    """One delivery as it will be recorded."""

    item: str
    stored_as: str
    version: int
    outcome: str
    superseded: bool
    sha256: str
    size_bytes: int
    mtime_ns: int


class Had(TypedDict):
    """What was had at a destination that is complete: see `Drop.leased` and `Drop.proved`."""

    leased: bool
    proved: list[str] | None
    shifted: NotRequired[int]  # since it is counted


class Hold(NamedTuple):
    """The right of one worker to one arrival: it ends when another epoch begins."""

    id: str
    epoch: int


@dataclass(slots=True)
class Leg:
    """The way of one arrival to one of its destinations."""

    destination: Destination
    target: Target
    drop: Drop
    place: Place | None = None
    staged: list[Staged] = field(default_factory=list)
    rows: Sequence[Row] = ()
    publish: list[Planned] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # names that an earlier attempt gave
    manifest: str = ""
    adopted: list[tuple[str, str, int]] = field(default_factory=list)  # stored_as, sha256, size
    altered: list[dict[str, str]] = field(default_factory=list)
    failure: DropslotError | OSError | None = None  # since the intent: the other legs go on
    complete: bool = False  # published whole, its manifest too, and durable

    @property
    def has_manifest(self) -> bool:
        """Whether a manifest lies at the destination; else the receipt is kept with what one would say."""
        return self.target.rules.manifest != "none" and self.destination.can_be_read

    @property
    def had(self) -> Had:
        """What the receipt may say of it, when a later attempt writes that."""
        proved = self.drop.proved
        return Had(
            leased=self.drop.leased,
            proved=None if proved is None else sorted(proved),
            shifted=self.drop.shifted,
        )


@dataclass(slots=True)
class Work:
    """An arrival that is being delivered. `source` is where it lies now."""

    arrival: Arrival
    config: Config
    route: Route
    folders: FolderSet
    source: Path = Path()
    values: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)  # of the values, what is kept with the arrival
    listing: Listing = field(default_factory=lambda: Listing(is_folder=False))
    contents: Contents = field(default_factory=lambda: Contents(Listing(is_folder=False)))
    types: Sequence[str] = ()  # of a single file, where they were found with those of other arrivals
    mimes: dict[str, str] = field(default_factory=dict)  # by item, where a check looked at its content
    legs: list[Leg] = field(default_factory=list)
    complete: dict[str, Had] = field(
        default_factory=dict
    )  # by an earlier attempt: these have no leg any more
    away: dict[str, DropslotError] = field(default_factory=dict)  # since the intent: left for a later attempt
    failure: DropslotError | OSError | None = None

    @property
    def id(self) -> str:
        """The arrival's ULID."""
        return self.arrival.id

    @property
    def epoch(self) -> int:
        """The epoch of this attempt."""
        return self.arrival.epoch

    @property
    def hold(self) -> Hold:
        """What guards every write."""
        return Hold(self.arrival.id, self.arrival.epoch)

    @property
    def keeps_marks(self) -> bool:
        """Whether direction marks may be in names; what may have been published is not refused for them any more."""
        return self.committed or self.route.keeps_marks

    @property
    def name(self) -> str:
        """The arrival's own name, as the file system has it."""
        return os.fsdecode(bytes(self.arrival.name_bytes))

    @property
    def going_on(self) -> list[Leg]:
        """The legs on which nothing has failed."""
        return [leg for leg in self.legs if leg.failure is None]

    @property
    def had_at(self) -> dict[str, Had]:
        """By the URL of each destination, also of those that an earlier attempt completed."""
        return {**self.complete, **{leg.target.url: leg.had for leg in self.legs}}

    @property
    def leased(self) -> bool:
        """Whether every item was read under a lease, for every destination."""
        return all(had["leased"] for had in self.had_at.values())

    @property
    def manifests(self) -> dict[str, str]:
        """The SHA-256 of each destination's manifest, by its URL."""
        found = {leg.target.url: manifests.digest(leg.manifest) for leg in self.legs}
        return {url: (self.arrival.intent or {})[url] for url in (*self.complete, *self.away)} | found

    def may_leave(self, url: str) -> bool:
        """Whether the others go on without this destination: its names are reserved, and stay so."""
        return url in (self.arrival.intent or {})

    def leave(self, leg: Leg, error: DropslotError) -> None:
        """Go on without a destination that is away now. Raises `error` where that may not be."""
        if not self.may_leave(leg.target.url) or self.legs == [leg]:
            raise error
        self.legs.remove(leg)
        leg.drop.close()
        self.away[leg.target.url] = error

    @property
    def committed(self) -> bool:
        """Whether something may have been published already, so that nothing may be refused any more."""
        return self.arrival.intent is not None
