"""One target's manifests as delivery rows: the item and version of each line, and whose delivery it was."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from dropslot.arrivals.delivery.work import Row, Sources, source_of
from dropslot.arrivals.models import Adoption, Arrival, Delivery, Place
from dropslot.arrivals.upkeep.rebuilding.found_manifests import Manifest
from dropslot.arrivals.upkeep.rebuilding.stored_names import item_of, may_be_version
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import Outcome, State
from dropslot.destinations import for_url
from dropslot.destinations.base import Found, Target


@dataclass(slots=True)
class Shelf:
    """The facts about one target while its manifests are read in the order in which they were written."""

    target: Target
    place: Place
    delivered: set[str] = field(default_factory=set)
    # By item and version: when its arrival was finished, and when that was dropped.
    versions: dict[str, dict[int, tuple[datetime, datetime]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    adopted: set[str] = field(default_factory=set)
    _was_there: set[str] = field(default_factory=set)  # before dropslot came
    _manifested: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)  # that may be first versions: those, and existing files
    _near: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _own: set[str] = field(default_factory=set)  # names whose version mark came from their senders
    _listed: dict[str, dict[str, Found]] = field(default_factory=dict)

    def read(self, manifests: Sequence[Manifest]) -> None:
        """Look at all names first: the meaning of a name with a version mark depends on the others."""
        for manifest in manifests:
            names = {path for _, path in manifest.lines}
            for path in names:
                item, version = item_of(path, names)
                if version > 1 and item in names:  # one arrival has one version of each item
                    self._own.add(path)
            self._manifested |= names
        self._names |= self._manifested
        marked = [path for path in self._manifested if may_be_version(os.path.basename(path))]
        for folder in {os.path.dirname(path) for path in marked}:
            there = self._at(folder)
            self._names |= {os.path.join(folder, name) for name, found in there.items() if found.regular}
        for path in self._names:
            self._near[os.path.dirname(path)].append(path)
        self._read_rows()

    def _read_rows(self) -> None:
        rows = Delivery.objects.filter(place=self.place, outcome=Outcome.DELIVERED, arrival__state=State.DONE)
        for chunk in chunks(sorted(self._names), CHUNK):
            columns = ("stored_as", "item", "version", "arrival__finished_at", "arrival__dropped_at")
            for stored_as, item, version, *times in rows.filter(stored_as__in=chunk).values_list(*columns):
                self.delivered.add(stored_as)
                self.versions[item][version] = (times[0], times[1])
            adopted = Adoption.objects.filter(place=self.place, stored_as__in=chunk)
            self.adopted |= set(adopted.values_list("stored_as", flat=True))

    def item(self, stored_as: str) -> tuple[str, int]:
        """(item, version) of a stored path."""
        if stored_as in self._own or not may_be_version(os.path.basename(stored_as)):
            return stored_as, 1
        return item_of(stored_as, self._names, self._near.get(os.path.dirname(stored_as), ()))

    def rows(self, manifest: Manifest, finished: datetime, dropped: datetime) -> Iterator[Row]:
        """The rows of one arrival, by when it was finished and dropped. The first one that names a stored file
        delivered it; for the others it was `unchanged`."""
        for digest, stored_as in manifest.lines:
            item, version = self.item(stored_as)
            found = self._at(os.path.dirname(stored_as)).get(os.path.basename(stored_as))
            size, mtime = (found.size_bytes, found.mtime_ns) if found else (0, 0)
            first = stored_as not in self.delivered and stored_as not in self._was_there
            outcome = Outcome.DELIVERED if first else Outcome.UNCHANGED
            superseded = self._is_superseded(item, version, first, finished, dropped)
            if first:
                self.delivered.add(stored_as)
                self.versions[item][version] = finished, dropped
            yield Row(item, stored_as, version, outcome, superseded, digest, size, mtime)

    def _is_superseded(
        self, item: str, version: int, is_first: bool, finished: datetime, dropped: datetime
    ) -> bool:
        """Whether a version that was dropped later existed by then."""
        known = {n: later for n, (at, later) in self.versions[item].items() if at <= finished}
        if is_first:
            return any(n < version and later > dropped for n, later in known.items())
        return max(known, key=lambda n: (known[n], n), default=version) != version

    def foundations(self, rows: Sequence[Row]) -> Iterator[tuple[str, str, int]]:
        """(path, SHA-256, size) of the first versions that no manifest names: they were there before dropslot."""
        for item in {row.item for row in rows if row.version > 1} - self.delivered - self.adopted:
            found = self._at(os.path.dirname(item)).get(os.path.basename(item))
            if found and found.regular and (digest := self.digest(item)):
                self.adopted.add(item)
                self._was_there.add(item)
                yield item, digest, found.size_bytes

    def digest(self, path: str) -> str:
        """SHA-256 (hex) of a stored file; empty when it is gone."""
        hasher = sha256()
        try:
            for chunk in for_url(self.target.url).read(self.target, path):
                hasher.update(chunk)
        except FileNotFoundError:
            return ""
        return hasher.hexdigest()

    def unlisted_versions(self, folder: str = "") -> Iterator[tuple[str, str]]:
        """(SHA-256, path) of each file that looks like a later version of another and that nothing names: for targets
        without manifests."""
        entries = self._at(folder)
        paths = {os.path.join(folder, name): found for name, found in entries.items() if name != ".dropslot"}
        for path, found in sorted(paths.items()):
            if found.is_folder:
                yield from self.unlisted_versions(path)
            elif found.regular and path not in self._manifested and item_of(path, paths)[1] > 1:
                yield self.digest(path), path

    def _at(self, folder: str) -> dict[str, Found]:
        if folder not in self._listed:
            self._listed[folder] = for_url(self.target.url).listing(self.target, folder)
        return self._listed[folder]


def delivery_of(arrival: Arrival, place: Place, row: Row, sources: Sources) -> Delivery:
    """The row as it is saved; `sources`, which only a kept receipt has, tell of what it was made anew."""
    item, sha256 = source_of(row, sources)
    return Delivery(arrival=arrival, place=place, source_item=item, source_sha256=sha256, **row._asdict())
