"""The state of one arrival's delivery: one worker, one epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

from dropslot.arrivals.crew import ALONE, Crew
from dropslot.arrivals.importers import Imported
from dropslot.arrivals.models import Arrival, Place
from dropslot.config import Config, Deliver, Route
from dropslot.config.route_folders import FolderSet
from dropslot.contents.base import Contents, Source, Staged
from dropslot.contents.source_bytes import SourceBytes
from dropslot.core import manifests
from dropslot.core.errors import DestinationUnready, DropslotError
from dropslot.destinations.base import Destination, Drop, Planned, Target
from dropslot.files.listing import Listing

RELEASED = "released"  # in the evidence of an arrival: when it was sent onward, and by whom


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


Sources = Mapping[str, Sequence[str]]


def source_of(row: Row, sources: Sources) -> tuple[str, str]:
    """For the record: the item from which a delivered one was made, and its SHA-256; each is empty if it is the same.
    `sources` has both by delivered item, for items that were made anew."""
    source, digest = sources.get(row.item, (row.item, row.sha256))
    return "" if source == row.item else source, "" if digest == row.sha256 else digest


class Had(TypedDict):
    """The guarantees that applied at a complete destination: see `Drop.leased` and `Drop.proved`."""

    leased: bool
    proved: list[str] | None
    shifted: NotRequired[int]  # since it is counted


class Hold(NamedTuple):
    """The right of one worker to one arrival. It ends when another epoch begins."""

    id: str
    epoch: int


@dataclass(slots=True)
class Leg:
    """The way of one arrival, or of one part of its items, to one target of a rule."""

    rule: Deliver
    destination: Destination
    target: Target
    drop: Drop
    part: Listing | None = None  # the items that go there; None: all
    by_item: bool = False  # its path depends on values of the items
    place: Place | None = None
    staged: list[Staged] = field(default_factory=list)
    rows: Sequence[Row] = ()
    publish: list[Planned] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # names that an earlier attempt gave
    manifest: str = ""
    adopted: list[tuple[str, str, int]] = field(default_factory=list)  # stored_as, sha256, size
    altered: list[dict[str, str]] = field(default_factory=list)
    failure: DropslotError | OSError | None = None  # after the intent: the other legs go on
    complete: bool = False  # everything is published and durable, the manifest too

    @property
    def has_manifest(self) -> bool:
        """Whether a manifest lies at the destination; otherwise its lines are kept with the receipt."""
        return self.target.rules.manifest != "none" and self.destination.can_be_read

    @property
    def had(self) -> Had:
        """The guarantees that applied here, for a receipt that a later attempt writes."""
        proved = self.drop.proved
        return Had(
            leased=self.drop.leased,
            proved=None if proved is None else sorted(proved),
            shifted=self.drop.shifted,
        )


@dataclass(slots=True)
class Made:
    """The items that were made anew: the name of their folder, its path, and for each made item the sent item with its
    SHA-256. `leased`: all sent items were read under leases."""

    name: str
    path: Path
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    leased: bool = True


@dataclass(slots=True)
class Work:
    """An arrival that is being delivered. `source` is its current path."""

    arrival: Arrival
    config: Config
    route: Route
    folders: FolderSet
    crew: Crew = ALONE
    source: Path = Path()
    values: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)  # the values that are kept with the arrival
    listing: Listing = field(default_factory=lambda: Listing(is_folder=False))
    contents: Contents = field(default_factory=lambda: Contents(Listing(is_folder=False)))
    types: Sequence[str] = ()  # of a single file, if found together with those of other arrivals
    mimes: dict[str, str] = field(default_factory=dict)  # by item, if a check looked at its content
    made: Made | None = None  # the items to deliver, if they are made anew
    type_seen: str = ""  # of a single file: the content type that the arrival's fields got
    read: SourceBytes | None = None  # items that were read for the fields of their paths
    imported: Imported | None = None  # what the route's importer read
    legs: list[Leg] = field(default_factory=list)  # legs of one rule are adjacent
    complete: dict[str, Had] = field(
        default_factory=dict
    )  # by an earlier attempt: these have no leg any more
    away: dict[str, DropslotError] = field(default_factory=dict)  # after the intent: left for a later attempt
    failure: DropslotError | OSError | None = None
    times: dict[str, tuple[int, int]] = field(default_factory=dict)  # of each step, in ns since the epoch

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
        """The guard of every write."""
        return Hold(self.arrival.id, self.arrival.epoch)

    @property
    def keeps_marks(self) -> bool:
        """Whether names may have direction marks: they are no longer refused once something may have been published."""
        return self.committed or self.route.keeps_marks

    @property
    def name(self) -> str:
        """The arrival's own name, as the file system has it."""
        return os.fsdecode(bytes(self.arrival.name_bytes))

    @property
    def by_rule(self) -> list[list[Leg]]:
        """The legs of each rule; together they get the whole arrival."""
        return [list(legs) for _, legs in groupby(self.legs, lambda leg: leg.rule.to)]

    @property
    def going_on(self) -> list[Leg]:
        """The legs of the rules without a failure: no part gets its manifest before all parts have their names."""
        return [leg for legs in self.by_rule if all(leg.failure is None for leg in legs) for leg in legs]

    @property
    def staged(self) -> Sequence[Staged]:
        """All items as they were staged, in listing order."""
        legs = self.by_rule[0]
        if legs[0].part is None:
            return legs[0].staged
        found = {item.path: item for leg in legs for item in leg.staged}
        return [found[item.path] for item in self.contents.listing.items]

    @property
    def delivers(self) -> Source:
        """The source of staging: the arrival, or the items that were made anew."""
        if self.made:
            return Source(self.made.path, self.contents.listing, pause=self.crew.pause)
        # No lease in the inbox: a scanner that wants to write to its own file must not wait.
        return Source(self.source, self.listing, lease=not self.arrival.in_place, pause=self.crew.pause)

    @property
    def not_delivered(self) -> list[str]:
        """What is archived and not delivered: litter, and items that the importer holds back."""
        return [*self.listing.ignored, *sorted(self.contents.held_back)]

    @property
    def had_at(self) -> dict[str, Had]:
        """The guarantees of each destination by URL, including those that an earlier attempt completed."""
        return {**self.complete, **{leg.target.url: leg.had for leg in self.legs}}

    @property
    def leased(self) -> bool:
        """Whether every item was read under a lease, for every destination."""
        return self.made.leased if self.made else all(had["leased"] for had in self.had_at.values())

    @property
    def manifests(self) -> dict[str, str]:
        """The SHA-256 of each destination's manifest, by its URL."""
        found = {leg.target.url: manifests.digest(leg.manifest) for leg in self.legs}
        return {url: (self.arrival.intent or {})[url] for url in (*self.complete, *self.away)} | found

    def may_leave(self, url: str) -> bool:
        """Whether the others go on without this destination: its names are and stay reserved."""
        return url in (self.arrival.intent or {})

    def leave(self, rule: Deliver, urls: Collection[str], error: DropslotError) -> None:
        """Go on without a rule whose destination, with these targets, is away now. Raises `error` if that is not
        allowed."""
        if not all(map(self.may_leave, urls)):
            raise error
        for leg in self.legs:
            if leg.rule is rule:
                leg.drop.close()
        self.legs = [leg for leg in self.legs if leg.rule is not rule]
        self.away |= dict.fromkeys(urls, error)

    def each_rule(self, act: Callable[[Leg], None]) -> None:
        """Do this for every leg; rules whose destination is away are skipped. Raises DestinationUnready if that is not
        allowed, or if all are away."""
        for legs in self.by_rule:
            try:
                for leg in legs:
                    act(leg)
            except DestinationUnready as error:
                self.leave(legs[0].rule, [leg.target.url for leg in legs], error)
        self.require_a_leg()

    def require_a_leg(self) -> None:
        """Raise the fault of a destination that is away if no leg is left."""
        if self.away and not self.legs:
            raise next(iter(self.away.values()))

    @property
    def is_to_be_held(self) -> bool:
        """Whether this attempt ends before anything of the arrival is published, until somebody sends it onward."""
        is_released = self.committed or RELEASED in self.arrival.evidence
        return self.route.release == "manual" and not is_released

    @property
    def committed(self) -> bool:
        """Whether something may have been published; if so, nothing may be refused any more."""
        return self.arrival.intent is not None
