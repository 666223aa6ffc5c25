"""What each tree holds. A reader of the outbox adds up our own deliveries; a walk, about once a day, corrects that by
what others wrote or removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now

from dropslot import destinations
from dropslot.arrivals.models import Delivery, Usage
from dropslot.arrivals.space.space_trees import Tree, rule_of, tree_of
from dropslot.audit import outbox
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.names import RESERVED
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import Outcome
from dropslot.destinations.layout import STAGE

READER = "space"
WALK_EVERY = timedelta(days=1)


def is_wanted(config: Config) -> bool:
    """Whether anything is counted."""
    return any(
        rule.space.of or rule.space.quota for route in config.routes.values() for rule in route.deliver
    )


def listen(config: Config) -> None:
    """Called at the start: from then on each delivery counts. What was there before is found by the first walk."""
    if is_wanted(config):
        outbox.begin(READER)
    else:
        outbox.end(READER)


def count(config: Config) -> None:
    """Add what was delivered since the last time. Also called before an arrival that may not fit."""
    while outbox.read(READER, partial(_add, config), kinds=[Kind.DELIVERED]) == outbox.BATCH:
        continue


def _add(config: Config, delivered: Sequence[Event]) -> None:
    sums: dict[str, tuple[int, int]] = {}
    for url, route, size, files in _of_arrivals([event.arrival for event in delivered]):
        known = config.routes.get(route)
        rule = rule_of(known, url) if known else None
        if known is None or rule is None or not (tree := tree_of(known, rule, url)).is_counted:
            continue
        before = sums.get(tree.url, (0, 0))
        sums[tree.url] = before[0] + size, before[1] + files
    remember(sums)
    for url, (size, files) in sums.items():
        mine = Usage.objects.filter(key=url)
        mine.update(used_bytes=F("used_bytes") + size, files=F("files") + files)


def _of_arrivals(ids: Sequence[str]) -> Iterator[tuple[str, str, int, int]]:
    rows = Delivery.objects.filter(outcome=Outcome.DELIVERED).order_by()
    for some in chunks(ids, CHUNK):
        grouped = rows.filter(arrival__in=some).values_list("place__url", "arrival__route")
        yield from grouped.annotate(Sum("size_bytes"), Count("pk"))


def remember(keys: Iterable[str]) -> None:
    """Make the rows that are missing."""
    Usage.objects.bulk_create([Usage(key=key) for key in keys], ignore_conflicts=True)


class Walk:
    """One walk through one tree, in steps. What is delivered meanwhile may count twice, until the next walk."""

    def __init__(self, tree: Tree) -> None:
        self._tree, self._target = tree, tree.target
        self._destination = destinations.for_rule(tree.rule)
        self._folders = [""]
        self._size = self._files = 0
        self._began = Usage.objects.filter(key=tree.url).values("used_bytes", "files", "looked_at").first()

    def step(self, seconds: float, is_stopped: Callable[[], bool]) -> bool:
        """Go on for so long; True: it is done, and recorded. Raises DropslotError if the place is away."""
        until = time.monotonic() + seconds
        while self._folders:
            if time.monotonic() >= until or is_stopped():
                return False
            self._look(self._folders.pop())
        self._record()
        return True

    def _look(self, folder: str) -> None:
        for name, found in self._destination.listing(self._target, folder).items():
            if found.is_folder:
                # What is staged is no delivery yet.
                if (name, folder.rpartition("/")[2]) != (STAGE, RESERVED):
                    self._folders.append(f"{folder}/{name}" if folder else name)
            elif found.regular:
                self._size += found.size_bytes
                self._files += 1

    def _record(self) -> None:
        if self._began is None:
            return
        # Not if another machine has walked through it meanwhile.
        mine = Usage.objects.filter(key=self._tree.url, looked_at=self._began["looked_at"])
        mine.update(
            used_bytes=F("used_bytes") - self._began["used_bytes"] + self._size,
            files=F("files") - self._began["files"] + self._files,
            looked_at=Now(),
        )


def next_walk(trees: Iterable[Tree]) -> Walk | None:
    """A walk through the tree that waits for one longest; None: all were walked within a day."""
    by_url = {tree.url: tree for tree in trees if tree.is_counted and _can_be_listed(tree)}
    is_due = (
        Q(looked_at=None) | Q(looked_at__lt=Now() - WALK_EVERY) | Q(looked_at__gt=Now())
    )  # by a wrong clock
    due = Usage.objects.filter(is_due)
    rows = due.order_by(F("looked_at").asc(nulls_first=True), "key").values_list("key", flat=True)
    found = next((by_url[key] for key in rows.iterator() if key in by_url), None)
    return Walk(found) if found else None


def _can_be_listed(tree: Tree) -> bool:
    return destinations.for_rule(tree.rule).can_be_read
