"""Restores the rows of a lost or older database from manifests, kept receipts, and the entries in failed. It only
adds: arrivals that the database knows as done stay as they are. It may be run again, also after a crash: then it adds
what is missing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery import reserved
from dropslot.arrivals.delivery.work import Row, Sources
from dropslot.arrivals.intake import claim_without_row, record
from dropslot.arrivals.models import Adoption, Arrival, Delivery, Place
from dropslot.arrivals.upkeep.rebuilding import found_manifests, signs
from dropslot.arrivals.upkeep.rebuilding.found_manifests import Manifest, made_up_id
from dropslot.arrivals.upkeep.rebuilding.found_targets import fields_of, parts_of, targets
from dropslot.arrivals.upkeep.rebuilding.imported_again import import_again
from dropslot.arrivals.upkeep.rebuilding.manifest_rows import Shelf, delivery_of
from dropslot.arrivals.upkeep.rebuilding.remaining_facts import (
    finished_at,
    lies_at,
    moment,
    reasons_beside,
    received_at,
    time_of_drop,
)
from dropslot.audit import receipts, signing_key
from dropslot.audit.chain import GENESIS, Entry, append, head
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.receipts import Kept
from dropslot.config import Config, Deliver, Route
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.errors import DropslotError
from dropslot.core.manifests import digest, write
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE
from dropslot.core.states import Outcome, State
from dropslot.core.templates import Template
from dropslot.destinations import for_rule
from dropslot.destinations.base import Rules, Target

AT_ONCE = 200  # arrivals in one transaction
_UNKNOWN = "unknown"


@dataclass(slots=True)
class Rebuilt:
    """The counts of what was added, and sentences (without full stops) about what could not be read."""

    arrivals: int = 0
    deliveries: int = 0
    with_receipt: int = 0
    failed: int = 0
    imported: int = 0  # arrivals whose files an importer read again
    unclaimed: int = 0  # entries in done that are of no known arrival
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """The destinations of a target."""

    route: Route
    to: Template
    target: Target


def rebuild(config: Config) -> Rebuilt:
    """Add what the database lacks. No worker or watcher may run meanwhile. Raises DatabaseError."""
    work = _Rebuilding(config)
    work.look()
    for some in chunks(sorted(work.wanted(), key=work.when), AT_ONCE):
        work.add(some)
    work.add_failed()
    work.end()
    if not work.result.problems:
        signs.mended(config)
    work.result.imported = import_again(config, work.problem)
    return work.result


class _Rebuilding:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.result = Rebuilt()
        self._kept = dict(self._receipts())
        self._found: dict[str, _Found] = {}
        self._manifests: dict[str, dict[str, Manifest]] = defaultdict(dict)
        self._shelves: dict[str, Shelf] = {}
        self._texts: dict[tuple[str, str], Manifest] = {}  # by target and digest: two arrivals may share one
        self._receipted = set(self._kept) - self._known(self._kept)
        self._doubtful: set[str] = set()
        self._away: set[str] = set()  # routes of which a destination could not be read
        self._said = False

    # Reading

    def _receipts(self) -> Iterator[tuple[str, Kept]]:
        signers = signing_key.allowed_signers(self.config.keys / signing_key.ALLOWED_SIGNERS)
        for kept in receipts.read_outside(self.config.data):
            arrival = kept.receipt["arrival"]
            try:
                sshsig.verify(kept.signature, NAMESPACE, kept.body.encode("utf-8"), signers)
            except sshsig.BadSignature as error:
                self.problem(f"The kept receipt of {arrival} is not valid: {error}")
            else:
                yield arrival, kept

    def look(self) -> None:
        """Find all targets, and the manifests of unknown arrivals."""
        by_digest = {d: a for a, k in self._kept.items() for d in k.receipt["manifests"].values()}
        for route in self.config.routes.values():
            for rule in route.deliver:
                try:
                    for target in self._targets(rule):
                        self._look_at(_Found(route, Template(rule.to), target), by_digest)
                except (DropslotError, OSError) as error:
                    self._away.add(route.key)
                    self.problem(
                        f"{escape(rule.to)} could not be read, so nothing of it was rebuilt: {error}"
                    )
        for arrival in sorted(self._receipted):
            self._complete(arrival, self._kept[arrival])
        for url, found in self._found.items():
            self._open_shelf(url, found)

    def _targets(self, rule: Deliver) -> Iterator[Target]:
        """The targets of a rule: as they are found there, or, where nothing can be listed, as receipts name them."""
        if for_rule(rule).can_be_read:
            yield from targets(rule)
            return
        to = Template(rule.to)
        named = {url for kept in self._kept.values() for url in kept.receipt["manifests"]}
        for url in sorted(named):
            if to.match(url) is not None:
                yield Target(url, to.fixed, rules=Rules(manifest="none"))

    def _complete(self, arrival: str, kept: Kept) -> None:
        """Add what a receipt names: manifests that it keeps itself, and those that an equal arrival left beside."""
        for url, wanted in kept.receipt["manifests"].items():
            if url not in self._found or url in self._manifests[arrival]:
                continue
            if url in kept.listings:
                self._manifests[arrival][url] = Manifest(arrival, url, kept.listings[url], finished_at(kept))
            elif same := self._texts.get((url, wanted)):
                self._manifests[arrival][url] = replace(same, arrival=arrival)

    def _look_at(self, found: _Found, by_digest: dict[str, str]) -> None:
        target = found.target
        # If several routes deliver into one folder, receipts show which route an arrival came through.
        self._found.setdefault(target.url, found)
        there = list(found_manifests.ids(target))
        known = self._known(there)
        hidden = found_manifests.hidden(target, known.__contains__, self.problem)
        beside = list(found_manifests.beside(target, by_digest, self.problem))
        known |= self._known([manifest.arrival for manifest in beside])
        self._texts |= {(target.url, digest(one.text)): one for one in beside}
        for manifest in (*hidden, *(one for one in beside if not self._is_listed(one, known))):
            if self._is_believed(manifest):
                self._manifests[manifest.arrival].setdefault(target.url, manifest)

    def _is_listed(self, manifest: Manifest, known: set[str]) -> bool:
        """Whether the database knows all of a manifest that has no id in its name."""
        if manifest.arrival in known or manifest.arrival in self._kept:
            return manifest.arrival in known
        paths = {path for _, path in manifest.lines}
        rows = Delivery.objects.filter(place__url=manifest.url, arrival__state=State.DONE)
        listed: set[str] = set()
        for some in chunks(sorted(paths), CHUNK):
            listed |= set(rows.filter(stored_as__in=some).values_list("stored_as", flat=True))
        return listed == paths

    def _known(self, arrivals: Iterable[str]) -> set[str]:
        known: set[str] = set()
        for some in chunks(arrivals, CHUNK):
            known |= set(Arrival.objects.filter(id__in=some, state=State.DONE).values_list("id", flat=True))
        return known

    def _is_believed(self, manifest: Manifest) -> bool:
        kept = self._kept.get(manifest.arrival)
        expected = kept.receipt["manifests"].get(manifest.url) if kept else None
        if expected in (None, digest(manifest.text)):
            return True
        self._doubtful.add(manifest.arrival)  # it is left out whole, so that the alarm stays
        self.problem(
            f"The manifest of {manifest.arrival} in {escape(manifest.url)} is not the one that its receipt names"
        )
        return False

    def _open_shelf(self, url: str, found: _Found) -> None:
        mine = [several[url] for several in self._manifests.values() if url in several]
        if not mine and found.target.rules.manifest != "none":
            return
        shelf = self._shelves[url] = Shelf(found.target, Place.objects.get_or_create(url=url)[0])
        shelf.read(mine)
        if found.target.rules.manifest == "none":
            self._add_unlisted(url, shelf, mine)

    def _add_unlisted(self, url: str, shelf: Shelf, mine: list[Manifest]) -> None:
        """Later versions that no receipt lists either, found by the stored files."""
        known = set(
            Delivery.objects.filter(place=shelf.place, outcome=Outcome.DELIVERED).values_list(
                "stored_as", flat=True
            )
        )
        lines = [(sha256, path) for sha256, path in shelf.unlisted_versions() if path not in known]
        if lines:
            text = write(lines)
            found = Manifest(made_up_id(url, text, 0), url, text, timezone.now())
            self._manifests[found.arrival][url] = found
            shelf.read([*mine, found])

    # Writing

    def wanted(self) -> set[str]:
        """The arrivals to be added; not those in processing, which a worker will decide."""
        at_work = {
            arrival
            for folders in self._folders()
            if folders.processing.is_dir()
            for arrival, _, _ in whereabouts.holdings(folders)
        }
        return (set(self._manifests) | self._receipted) - at_work - self._doubtful

    def when(self, arrival: str) -> tuple[datetime, str]:
        """The key that they are sorted by: versions were numbered as arrivals were finished."""
        if kept := self._kept.get(arrival):
            return finished_at(kept), arrival
        return max(manifest.at for manifest in self._manifests[arrival].values()), arrival

    def _folders(self) -> Iterator[FolderSet]:
        for route in self.config.routes.values():
            yield from folder_sets(route, make=False)

    def add(self, several: list[str]) -> None:
        """Add some arrivals, in one transaction."""
        with transaction.atomic():
            entries = [entry for arrival in several if (entry := self._add(arrival))]
            if entries:
                append([*self._begun(), *entries])

    def _add(self, arrival: str) -> Entry | None:
        kept, mine = self._kept.get(arrival), self._manifests.get(arrival, {})
        route = self._route_of(kept, mine)
        if route is None or self._lacks_a_place(kept, mine, route):
            return None
        times = self.when(arrival)[0], time_of_drop(arrival, kept)
        rows = {url: list(self._shelves[url].rows(mine[url], *times)) for url in sorted(mine)}
        row = self._arrival(arrival, kept, mine, route, [one for some in rows.values() for one in some])
        # What the older database says about the planned delivery.
        reserved.forget(Delivery.objects.filter(arrival_id=arrival))
        row.save()
        for url, some in rows.items():
            self._insert(row, self._shelves[url], some, kept.about.get("sources", {}) if kept else {})
        self.result.arrivals += 1
        self.result.with_receipt += kept is not None
        digests = {url: digest(manifest.text) for url, manifest in mine.items()}
        source = "receipt" if kept else "manifest"
        return entry(Kind.REBUILT, arrival, {"from": source, "manifests": digests, "items": row.items})

    def _route_of(self, kept: Kept | None, mine: dict[str, Manifest]) -> Route | None:
        if kept and (route := self.config.routes.get(kept.receipt["route"])):
            return route
        for url in mine:
            return self._found[url].route
        if kept:
            self.problem(
                f"{kept.receipt['arrival']} came through route {kept.receipt['route']}, which config.yaml does not have"
                " any more: put it back, and rebuild once more"
            )
        return None

    def _lacks_a_place(self, kept: Kept | None, mine: dict[str, Manifest], route: Route) -> bool:
        """Whether a destination that does not answer now may have more of it: then a later run adds it."""
        lacking = set(kept.receipt["manifests"]) - set(mine) if kept else set()
        if kept and lacking and route.key not in self._away:
            self.problem(f"{kept.receipt['arrival']} has no manifest in {escape(', '.join(sorted(lacking)))}")
        return route.key in self._away and (kept is None or bool(lacking))

    def _arrival(
        self, arrival: str, kept: Kept | None, mine: dict[str, Manifest], route: Route, rows: list[Row]
    ) -> Arrival:
        about: dict[str, Any] = dict(kept.about) if kept else {}
        said: dict[str, Any] = kept.receipt if kept else {}
        templates = {url: self._found[url].to for url in mine}
        evidence = {"rebuilt": "receipt" if kept else "manifest", **parts_of(templates)}
        return Arrival(
            id=arrival,
            route=said.get("route", route.key),
            inbox=about.get("inbox", self._an_inbox(route)),
            name=said.get("name", _UNKNOWN),
            name_bytes=bytes.fromhex(about.get("name_bytes", "")) or _UNKNOWN.encode(),
            is_folder=about.get("is_folder", len(rows) != 1),
            in_place=about.get("in_place", route.leave_source),
            sender=said.get("sender", ""),
            location=about.get("location", ""),
            fields=about.get("fields", fields_of(templates)),
            state=State.DONE,
            items=len(sizes := {row.item: row.size_bytes for row in rows}),
            size_bytes=sum(sizes.values()),
            epoch=1,
            intent={url: digest(manifest.text) for url, manifest in mine.items()},
            evidence=evidence | ({"prefix": about["prefix"]} if about.get("prefix") else {}),
            dropped_at=time_of_drop(arrival, kept),
            received_at=moment(said.get("received_at")) or received_at(arrival),
            finished_at=moment(said.get("finished_at")) or max(manifest.at for manifest in mine.values()),
            archived_as=lies_at(arrival, about.get("archived_as", "")),
        )

    def _an_inbox(self, route: Route) -> str:
        sets = folder_sets(route, make=False)
        return str(sets[0].inbox) if sets else route.inbox

    def _insert(self, arrival: Arrival, shelf: Shelf, rows: list[Row], sources: Sources) -> None:
        for some in chunks(rows, CHUNK):
            Delivery.objects.bulk_create(
                [delivery_of(arrival, shelf.place, row, sources) for row in some],
                ignore_conflicts=True,  # a name that an unfinished arrival has reserved stays reserved
            )
        found = list(shelf.foundations(rows))
        Adoption.objects.bulk_create(
            [
                Adoption(place=shelf.place, stored_as=path, sha256=sha256, size_bytes=size, at=timezone.now())
                for path, sha256, size in found
            ]
        )
        self.result.deliveries += len(rows)

    def _begun(self) -> list[Entry]:
        """Before the first addition: the event that says where the trail was cut."""
        if self._said:
            return []
        self._said = True
        heads = [self._kept[arrival].receipt["head"] for arrival in self._receipted]
        lost = max(heads, key=lambda one: one["seq"], default=None)
        return [entry(Kind.REBUILD, "", {"newest_head_in_receipts": lost, "from": "manifests and receipts"})]

    def add_failed(self) -> None:
        """Add entries in failed that have no row."""
        for folders in self._folders():
            if not folders.failed.is_dir():
                continue
            ids = [name for name in sorted(os.listdir(folders.failed)) if whereabouts.is_id(name)]
            known = set(Arrival.objects.filter(id__in=ids).values_list("id", flat=True))
            for some in chunks([name for name in ids if name not in known], AT_ONCE):
                with transaction.atomic():
                    entries = [entry for arrival in some if (entry := self._add_refused(folders, arrival))]
                    if entries:
                        append([*self._begun(), *entries])

    def _add_refused(self, folders: FolderSet, arrival: str) -> Entry | None:
        folder = whereabouts.refused(folders, arrival)
        if not whereabouts.entry_of(folder, ""):
            return None  # only its reason: it was read in place, or somebody removed it
        claim = claim_without_row.claim_in(folders, arrival, folder)
        if claim is None:
            return None
        reasons = reasons_beside(folder, claim.name)
        values = record.describe(self.config, claim) | {"reason": reasons, "epoch": 1}
        finished = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        Arrival.objects.create(id=arrival, state=State.FAILED, finished_at=finished, **values)
        self.result.failed += 1
        return entry(Kind.REBUILT, arrival, {"from": "failed", "reason": reasons})

    def end(self) -> None:
        """Count the remaining entries; an empty trail gets its event, even if nothing was found."""
        if head() == GENESIS and not self._said:
            with transaction.atomic():
                append(self._begun())
        known = set(Arrival.objects.exclude(archived_as="").values_list("archived_as", flat=True).iterator())
        for folders in self._folders():
            if folders.done.is_dir():
                names = [name for name in os.listdir(folders.done) if not name.startswith(".")]
                self.result.unclaimed += sum(str(folders.done / name) not in known for name in names)

    def problem(self, what: str) -> None:
        """Note what could not be read, as a sentence."""
        self.result.problems.append(what.rstrip("."))
