"""Checks of a staged arrival: its source has not changed, and the route's checks succeed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO

from dropslot.arrivals.delivery import route_importer
from dropslot.arrivals.delivery.paths import item_values, mime_field
from dropslot.arrivals.delivery.paths.mime_field import local_bytes
from dropslot.arrivals.delivery.work import Work
from dropslot.checks import for_route, run
from dropslot.checks.base import Check, StagedArrival, StagedItem
from dropslot.checks.mime import MimeTypes
from dropslot.config import Config, Route
from dropslot.contents.local_bytes import LocalBytes
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError, Refused, SourceChanged
from dropslot.core.names import escape
from dropslot.files.walk import changed
from dropslot.parsing import process


class _Made(dict[int, tuple[Route, list[Check]]]):
    """The checks of each route, by its id(). Keeping the route ensures that no other object gets the same id."""


def make_checks(config: Config) -> None:
    """Make the checks of all routes at start. Raises BadOption for one that cannot be made."""
    for route in config.routes.values():
        checks_of(route)


def checks_of(route: Route) -> list[Check]:
    """The route's checks, made once in a process."""
    made = kept(_Made)
    if id(route) not in made:
        made[id(route)] = (route, for_route(route))
    return made[id(route)][1]


@contextmanager
def helpers() -> Iterator[None]:
    """While this is open, checks may start parsers. All of them are stopped at the end."""
    try:
        yield
    finally:
        process.close()


def check_items(work: Work) -> None:
    """Run the checks on the staged bytes. Raises Refused with every reason, CheckFailed when a check broke, and
    SourceChanged when checks had to read the source and its bytes were not those that were staged."""
    if not _reads(work):
        return
    with local_bytes(work) as local:
        mime_field.prove_type(work, local)
        item_values.prove(work, local)
        if work.imported is not None:
            route_importer.prove(work, work.imported, local)
        reasons = _faults_of_contents(work, local) + _faults(work, local)
    if reasons:
        raise Refused(reasons)


def _reads(work: Work) -> bool:
    """Whether a check, a manifest or a field needs the bytes of this arrival."""
    asked = work.type_seen or work.read is not None or work.imported is not None
    return bool(asked or work.contents.is_bag or checks_of(work.route))


def look_at_types(works: Sequence[Work]) -> None:
    """Find out the types of single files together if checks will ask for them: asking for many files at once costs as
    much as asking for one. Faults are left to each arrival's own check."""
    asked = [work for work in works if not work.listing.is_folder and _asks_for_types(work)]
    if len(asked) > 1:
        with suppress(DropslotError, OSError):
            mime_field.look_at_types(asked)


def _asks_for_types(work: Work) -> bool:
    return any(isinstance(each, MimeTypes) for each in checks_of(work.route))


def _faults_of_contents(work: Work, local: LocalBytes) -> list[str]:
    def open_item(path: str) -> BinaryIO:
        return local.open(next(item for item in staged if item.path == path))

    staged = work.staged
    return work.contents.faults(staged, open_item)


def _faults(work: Work, local: LocalBytes) -> list[str]:
    checks = checks_of(work.route)
    return run(checks, _staged(work, local)) if checks else []


def _staged(work: Work, local: LocalBytes) -> StagedArrival:
    items = [
        StagedItem(
            path,
            item.size_bytes,
            item.digests,
            partial(local.open, item),
            partial(work.mimes.__setitem__, path),
            work.types,
        )
        for path, item in work.contents.delivered(work.staged)
    ]
    return StagedArrival(work.name, work.values, items, is_bag=work.contents.is_bag)


def prove_source_unchanged(works: Sequence[Work]) -> None:
    """Look at all sources again after staging. Works whose source changed get their `failure`."""
    for work in works:
        try:
            _must_be_the_same(work, changed(work.source, work.listing))
        except (DropslotError, OSError) as error:
            work.failure = error


def _must_be_the_same(work: Work, differences: Sequence[str]) -> None:
    if differences:
        raise SourceChanged(
            f"The source changed while it was read: {differences[0]}",
            where=f"Nothing of arrival {work.id} was delivered; it waits at {escape(str(work.source))}",
            next_step="It is retried. If this repeats, let the sender write under a temporary name and "
            "rename when done",
        )
