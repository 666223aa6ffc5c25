"""What can be refused before anything is sent: the rules of the route that need only names and sizes.

The rules themselves are those of the delivery, which decides again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

from dropslot.access.section import portal_of
from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.paths.field_values import mismatch
from dropslot.arrivals.delivery.staged_checks import checks_of
from dropslot.checks import StagedArrival, StagedItem, run
from dropslot.checks.item_names import Patterns
from dropslot.checks.sizes import MaxItems, MaxItemSize, MaxSize
from dropslot.config import Config, Route
from dropslot.core.names import escape, fault_of_name, size_bytes
from dropslot.core.patterns import Glob, forms
from dropslot.fields.name import NamePattern
from dropslot.files.walk import MAX_DEPTH, MAX_FAULTS, MAX_PATH_BYTES
from dropslot.watching import reasons
from dropslot.watching.temporary import TemporaryNames

_BY_NAME_AND_SIZE = (Patterns, MaxItems, MaxItemSize, MaxSize)
_OF_A_BAG = "bagit.txt"  # then what counts is its payload, which its manifests name


class Item(NamedTuple):
    """A file that is to be sent: its path inside the arrival (a single file: its name), and its size in bytes."""

    path: str
    size_bytes: int


class Entry(NamedTuple):
    """What is to become one arrival."""

    name: str
    is_folder: bool
    items: Sequence[Item]


def faults(config: Config, route: Route, entry: Entry) -> list[str]:
    """Every reason why it would be refused, a sentence each; at most MAX_FAULTS. A folder where files are taken, or
    the reverse, has that one alone."""
    if not reasons.takes(route, is_folder=entry.is_folder):
        return [_of_other_kind(route, is_folder=entry.is_folder)]
    found = [*of_name(route, entry.name)]
    items = [item for item in entry.items if not (entry.is_folder and route.litter.is_named(item.path))]
    if entry.is_folder:
        found += _of_folder(route, entry, items)
    found += of_items(config, route, entry, items)
    return list(dict.fromkeys(islice(found, MAX_FAULTS)))


def next_step(route: Route, name: str, *, is_folder: bool) -> str:
    """What a person may do about reasons of these rules."""
    if not reasons.takes(route, is_folder=is_folder):
        return "Choose the files in it" if is_folder else "Put it into a folder, and choose the folder"
    if route.name is None or NamePattern(route.name).values(name) is not None:
        return "Change what the reasons say, then send it again"
    return route.name_help or "Give it a name that matches, then send it again"


def of_name(route: Route, name: str) -> Iterator[str]:
    """Why an arrival of this name would not be taken."""
    if fault := whereabouts.fault_of_arrival(name, marks=route.names == "keep"):
        yield fault
        return
    if TemporaryNames.of(route).match(name):
        yield f"{escape(name)}: programs use such a name until a file is complete, so it would never be taken"
    elif route.litter.match(name):
        yield f"{escape(name)} is not data: this route ignores such names"
    if route.test_names and Glob(route.test_names).match(name):
        yield f"{escape(name)} is a name for tests ({route.test_names}), which is never delivered"
    if route.name is not None and NamePattern(route.name).values(name) is None:
        yield mismatch(route, name)


def _of_other_kind(route: Route, *, is_folder: bool) -> str:
    return f"{route.key} takes {'single files, not folders' if is_folder else 'folders, not single files'}"


def of_path(route: Route, path: str) -> str | None:
    """Why a file inside a folder may not have this path; None: it may."""
    names = path.split("/")
    for name in names:
        if why := fault_of_name(name, marks=route.names == "keep"):
            return f"{escape(path)}: {why}"
    if size_bytes(path) > MAX_PATH_BYTES:
        return f"{escape(path[:80])}…: the path has more than {MAX_PATH_BYTES:,} bytes"
    if len(names) > MAX_DEPTH:
        return f"{escape(path[:80])}…: it is more than {MAX_DEPTH} folders deep"
    return None


def of_items(config: Config, route: Route, entry: Entry, items: Sequence[Item]) -> Iterator[str]:
    """Why files of these names and sizes would be refused."""
    yield from _too_large(config, items)
    if any(item.path == _OF_A_BAG for item in items):
        return
    checks = [check for check in checks_of(route) if isinstance(check, _BY_NAME_AND_SIZE)]
    staged = [StagedItem(item.path, item.size_bytes, {}, _unread) for item in items]
    yield from run(checks, StagedArrival(entry.name, {}, staged))


def of_part(config: Config, route: Route, part: Item) -> Iterator[str]:
    """Why one file of a folder that is being sent would be refused, whatever the others are."""
    if fault := of_path(route, part.path):
        yield fault
    yield from _too_large(config, [part])


def _too_large(config: Config, items: Iterable[Item]) -> Iterator[str]:
    portal = portal_of(config)
    limit = portal.max_upload if portal else None
    for item in items:
        if limit is not None and item.size_bytes > limit:
            yield f"{escape(item.path)}: it has {item.size_bytes:,} bytes; the portal takes {limit:,} at most"


def _of_folder(route: Route, entry: Entry, items: Iterable[Item]) -> Iterator[str]:
    asked = TemporaryNames.of(route).asked_inside
    is_empty, has_marker, seen = True, False, set()
    for item in items:
        is_empty = False
        if fault := of_path(route, item.path):
            yield fault
        elif any(map(asked, item.path.split("/"))):
            yield reasons.of_unfinished(item.path)
        elif item.path in seen:
            yield f"{escape(item.path)} is there twice"
        seen.add(item.path)
        has_marker = has_marker or item.path in forms(route.marker or "")
    if is_empty:
        yield f"{escape(entry.name)}: {reasons.EMPTY}"
    elif route.complete == "marker" and not has_marker:
        yield f"{escape(entry.name)}: it has no file {route.marker}, which says that it is complete"


def _unread() -> BinaryIO:
    raise NotImplementedError("these rules read no bytes")
