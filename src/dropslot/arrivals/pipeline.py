"""The way of a batch of arrivals: prepare, stage, sync, check, intend, publish, sync, manifest, record, archive.

Each step takes the works that are still well and leaves out those that failed, so that one bad arrival never
holds up another. Run again after a crash at any point, the same steps finish the work and repeat no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from typing import BinaryIO

import structlog

from dropslot.arrivals import finish, ledger, plan, prepare, publish
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.work import Hold, Leg, Work
from dropslot.checks import for_route, run
from dropslot.checks.bag import PAYLOAD
from dropslot.checks.base import Check, StagedArrival, StagedItem
from dropslot.config import Config, Route
from dropslot.core.errors import DropslotError, NameInFlight, Refused, SourceChanged, StorageFault, TakenOver
from dropslot.core.names import escape
from dropslot.destinations.base import Destination, Drop, Source
from dropslot.storage.walk import changed

log = structlog.get_logger()
Fault = DropslotError | OSError


def deliver(config: Config, arrivals: Sequence[Arrival]) -> None:
    """Deliver a batch that was just taken. Every arrival ends done, failed, or waiting for its next attempt."""
    begun = _begin(config, arrivals)
    try:
        for group in _groups(_each(begun, prepare.prepare)):
            _deliver(group)
    finally:
        for work in begun:
            for leg in work.legs:
                leg.drop.close()


def _begin(config: Config, arrivals: Sequence[Arrival]) -> list[Work]:
    works = []
    for arrival in arrivals:
        try:
            works.append(prepare.begin(config, arrival))
        except DropslotError as error:
            ledger.postpone(
                Hold(arrival.id, arrival.epoch), finish.describe(error), ledger.backoff(arrival.attempts)
            )
    return works


def _groups(works: list[Work]) -> Iterator[list[Work]]:
    """The small ones together. A large one that turned up among them goes back, so that another worker may have it."""
    if len(works) == 1:
        yield works
        return
    large = [work for work in works if _is_large(work)]
    small = [work for work in works if not _is_large(work)]
    ledger.give_back(large)
    if small:
        yield small


def _is_large(work: Work) -> bool:
    return work.listing.size_bytes > ledger.ALONE_BYTES or len(work.listing.items) > ledger.ALONE_ITEMS


def _deliver(works: list[Work]) -> None:
    works = _each(works, _stage)
    works = _check_and_plan(works)
    works = _each(works, _raise_failure)
    publish.intend(works)
    works = _each(works, _raise_failure)
    works = _each(works, publish.publish)
    works = _sync_names(works)
    works = _publish_manifests(works)
    for work in works:
        finish.clean(work)
    works = finish.record(works)
    works = _each(works, finish.archive)


def _check_and_plan(works: Sequence[Work]) -> list[Work]:
    """While the data is synced. Who is refused hears it when the sync is over: settling removes the staging, and
    a sync that misses its files would void the attempts of the whole batch."""
    failed: list[tuple[Work, Fault]] = []
    with _syncing(works) as synced:
        well = _each(works, _check, lambda work, error: failed.append((work, error)))
        well = _each(well, _plan, lambda work, error: failed.append((work, error)))
        synced.result()  # data before names: nothing is intended of what is not on the disk
    for work, error in failed:
        settle(work, error)
    return well


def _each(
    works: Iterable[Work],
    step: Callable[[Work], None],
    otherwise: Callable[[Work, Fault], object] | None = None,
) -> list[Work]:
    """The works for which the step went well; for the others the outcome is written down (`settle`)."""
    well = []
    for work in works:
        try:
            step(work)
        except (DropslotError, OSError) as error:
            (otherwise or settle)(work, error)
        else:
            well.append(work)
    return well


def settle(work: Work, error: Fault) -> None:
    """Write down what became of an attempt that did not end in a delivery."""
    where = {"arrival": work.id, "epoch": work.epoch}
    try:
        if isinstance(error, TakenOver):
            raise error
        if isinstance(error, Refused) and not work.committed:
            finish.fail(work, error)
            log.warning("Refused", action="refused", **where, reasons=len(error.reasons))
            return
        waits_its_turn = isinstance(error, NameInFlight)
        seconds = 0.2 if waits_its_turn else ledger.backoff(work.arrival.attempts)
        ledger.postpone(work.hold, finish.describe(error), seconds, counts=not waits_its_turn)
        finish.clean(work)
        code = getattr(error, "code", "os-error")
        log.info("Tried again later", action="retrying", **where, in_seconds=seconds, error=code)
    except TakenOver:
        finish.clean(work)  # only its own epoch's, which it may have made after the other had looked
        log.warning("Another worker goes on with it", action="taken_over", **where)


def _raise_failure(work: Work) -> None:
    if work.failure is not None:
        raise work.failure


def _stage(work: Work) -> None:
    """Read the arrival once for each destination; all of them stage before any publishes."""
    algorithms = ("sha256", *(name for name in (work.bag.algorithms if work.bag else ()) if name != "sha256"))
    for leg in work.legs:
        _refuse_twins(work, leg)
        prefix = PAYLOAD if work.bag else ""
        leg.staged = leg.drop.stage(Source(work.source, work.listing), algorithms, prefix)
    first = work.legs[0].staged
    for leg in work.legs[1:]:
        if [item.sha256 for item in leg.staged] != [item.sha256 for item in first]:
            raise SourceChanged(
                "The source gave different bytes for different destinations", where="It is read again"
            )


def _refuse_twins(work: Work, leg: Leg) -> None:
    names = [item.path for item in work.listing.items]
    twins = leg.destination.twins(leg.target, names)
    if twins:
        raise Refused(
            [f"{escape(one)} and {escape(other)} are one name at {leg.target.url}" for one, other in twins]
        )


def _check(work: Work) -> None:
    """The source must be as it was listed, now that all of it is staged; then the route's checks look at the staged
    bytes."""
    differences = changed(work.source, work.listing)
    if differences:
        raise SourceChanged(
            f"The source changed while it was read: {differences[0]}",
            where=f"Nothing of arrival {work.id} was delivered; it waits at {escape(str(work.source))}",
            next_step="It is tried again. If this repeats, let the sender write under a temporary name and "
            "rename when done",
        )
    reasons = _bag_faults(work) + _faults(work)
    if reasons:
        raise Refused(reasons)


def _faults(work: Work) -> list[str]:
    checks = checks_of(work.route)
    return run(checks, _staged(work)) if checks else []


_made: dict[int, tuple[Route, list[Check]]] = {}


def make_checks(config: Config) -> None:
    """Make the checks of all routes at start: one that cannot be made is a mistake in config.yaml (BadOption)."""
    for route in config.routes.values():
        checks_of(route)


def checks_of(route: Route) -> list[Check]:
    """The route's checks, made once in a process."""
    made = _made.get(id(route))
    if made is None:
        made = _made[id(route)] = (route, for_route(route))  # the route is kept, so that its id stays its own
    return made[1]


def _bag_faults(work: Work) -> list[str]:
    if work.bag is None:
        return []
    leg = work.legs[0]
    return work.bag.faults({item.path: item.digests for item in leg.staged}, leg.drop.open_staged)


def _staged(work: Work) -> StagedArrival:
    leg = work.legs[0]
    items = [
        StagedItem(path, item.size_bytes, item.digests, _opener(leg.drop, item.path))
        for path, item in plan.payload_of(work, leg.staged)
    ]
    return StagedArrival(work.name, work.values, items, is_bag=work.bag is not None)


def _opener(drop: Drop, path: str) -> Callable[[], BinaryIO]:
    return lambda: drop.open_staged(path)


def _plan(work: Work) -> None:
    for leg in work.legs:
        plan.plan(work, leg)


@contextmanager
def _syncing(works: Sequence[Work]) -> Iterator[Future[None]]:
    """Sync what is staged while the block checks and plans: the disk and the processor work at the same time."""
    with ThreadPoolExecutor(1, "sync") as executor:
        yield executor.submit(_sync_staged, works)


def _by_destination(works: Sequence[Work]) -> Iterator[tuple[Destination, list[tuple[Work, Leg]]]]:
    legs = [(work, leg) for work in works for leg in work.legs]
    legs.sort(key=lambda pair: id(pair[1].destination))
    for _, group in groupby(legs, key=lambda pair: id(pair[1].destination)):
        pairs = list(group)
        yield pairs[0][1].destination, pairs


def _sync_staged(works: Sequence[Work]) -> None:
    """A sync that failed voids the attempt of all that it was for: it is never repeated, the staging is made anew."""
    for destination, pairs in _by_destination(works):
        try:
            destination.sync_staged([leg.drop for _, leg in pairs])
        except (DropslotError, OSError) as error:
            for work, _ in pairs:
                work.failure = _sync_fault(error)


def _sync_names(works: Sequence[Work]) -> list[Work]:
    for destination, pairs in _by_destination(works):
        try:
            destination.sync_names([leg.drop for _, leg in pairs])
        except (DropslotError, OSError) as error:
            for work, _ in pairs:
                work.failure = _sync_fault(error)
    return _each(works, _raise_failure)


def _publish_manifests(works: Sequence[Work]) -> list[Work]:
    """The manifest comes last: where it is, all of the arrival is."""
    for destination, pairs in _by_destination(works):
        try:
            destination.publish_manifests([(leg.drop, leg.manifest) for _, leg in pairs])
        except (DropslotError, OSError) as error:
            for work, _ in pairs:
                work.failure = _sync_fault(error)
    return _each(works, _raise_failure)


def _sync_fault(error: Fault) -> DropslotError:
    return (
        error
        if isinstance(error, DropslotError)
        else StorageFault(f"The destination could not be synced: {error}")
    )
