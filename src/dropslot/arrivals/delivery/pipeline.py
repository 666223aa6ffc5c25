"""The steps of a batch of arrivals: prepare, stage, sync, check, intend, publish, sync, manifest, record, archive.

Each step leaves out the arrivals that have failed, so that one bad arrival never holds up another. After a crash at any
point the same steps run again: they finish the work and repeat no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone
from structlog.contextvars import bind_contextvars, reset_contextvars

from dropslot.arrivals.crew import ALONE, Crew
from dropslot.arrivals.delivery import (
    finish,
    guarded_writes,
    names_and_versions,
    order,
    prepare,
    publish,
    releasing,
    room,
    staged_checks,
)
from dropslot.arrivals.delivery.paths import legs
from dropslot.arrivals.delivery.shares import share_holder
from dropslot.arrivals.delivery.timing import steps, traces
from dropslot.arrivals.delivery.work import Hold, Leg, Work
from dropslot.arrivals.importers import NotYet
from dropslot.arrivals.intake.claim import in_order
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.space.waiting_for_room import NO_ROOM
from dropslot.arrivals.unavailable import UNAVAILABLE
from dropslot.config import Config
from dropslot.config.mistakes import blame
from dropslot.config.route_folders import FolderSet
from dropslot.core.errors import (
    DropslotError,
    NameInFlight,
    NoRoom,
    NotReleased,
    Refused,
    SourceChanged,
    TakenOver,
    Unforeseen,
)
from dropslot.core.names import escape
from dropslot.files.listing import Listing, without_collection

log = structlog.get_logger()
_NOTES = (order.NOT_YET, NO_ROOM)  # in the evidence, of the last attempt alone
LONGEST_TURN_SECONDS = guarded_writes.LONGEST_WAIT
Fault = DropslotError | OSError
Otherwise = Callable[[Work, Fault], None]


def deliver_arrivals(config: Config, arrivals: Sequence[Arrival], crew: Crew = ALONE) -> None:
    """Deliver a batch that was just taken. Every arrival ends done, failed, or waiting for its next attempt.

    Raises one of UNAVAILABLE when the result cannot be recorded: the arrival then stays this worker's.
    """
    try:
        _deliver_all(config, arrivals, crew)
    except UNAVAILABLE:
        raise
    except Exception as error:  # noqa: BLE001 - one arrival must not end the worker again and again
        # The error is not tied to one arrival of the batch: after some attempts each is taken alone.
        fault = error if isinstance(error, DropslotError | OSError) else _unforeseen(error)
        for arrival in arrivals:
            _put_off(arrival, fault)


def _put_off(arrival: Arrival, fault: Fault) -> None:
    with suppress(TakenOver):  # it has ended already, or another worker holds it
        hold, seconds = Hold(arrival.id, arrival.epoch), guarded_writes.backoff(arrival.attempts)
        reasons = finish.describe(fault, committed=arrival.intent is not None)
        guarded_writes.postpone_attempt(hold, reasons, seconds)
        _say_later(hold, seconds, fault)


def _unforeseen(error: Exception) -> Unforeseen:
    log.exception("An error in dropslot itself, or in a plugin", action="attempt_broke", error=repr(error))
    return Unforeseen(
        f"An error in dropslot itself, or in a plugin: {blame.in_words(error)}",
        where="The source is untouched, and what was delivered before stays as it is",
        next_step="It is retried. If this goes on, report it with the log entry (action attempt_broke)",
    )


def _deliver_all(config: Config, arrivals: Sequence[Arrival], crew: Crew) -> None:
    is_alone = len(arrivals) == 1 and not crew.small_only
    begun = _begin(config, arrivals, crew if is_alone else ALONE)
    try:
        # The garbage collector would scan 100,000 rows for cycles that cannot exist; that took a third of the time.
        with without_collection():
            prepared = _each(begun, lambda work: prepare.prepare_arrival(work, is_alone=is_alone))
            for group in filter(None, [prepared] if is_alone else _groups(prepared)):
                _deliver(group)
    finally:
        for work in begun:
            for leg in work.legs:
                leg.drop.close()


def _begin(config: Config, arrivals: Sequence[Arrival], crew: Crew) -> list[Work]:
    works = []
    known: dict[str, dict[str, FolderSet]] = {}
    for arrival in arrivals:
        try:
            works.append(prepare.begin_work(config, arrival, known, crew))
        except DropslotError as error:
            _put_off(arrival, error)
    return works


def _groups(works: list[Work]) -> Iterator[list[Work]]:
    """Groups to deliver together. Works that want the same names go into different groups, in the order of their drops.
    A large work of several goes back into the queue, so that another worker may take it."""
    large = [work for work in works if prepare.is_large(work)]
    small = sorted(
        (work for work in works if not prepare.is_large(work)), key=lambda work: in_order(work.arrival)
    )
    _each(large, guarded_writes.give_back_arrival)
    while small:
        group, small = _apart(small)
        yield group


def _apart(works: list[Work]) -> tuple[list[Work], list[Work]]:
    """The first work for each name, and the works that must follow them."""
    now: list[Work] = []
    later: list[Work] = []
    wanted: set[tuple[str, str]] = set()
    for work in works:
        names = set(order.names_of(work))
        (now if wanted.isdisjoint(names) else later).append(work)
        wanted |= names
    return now, later


def _deliver(works: list[Work]) -> None:
    complete = [work for work in works if not work.legs]
    works = _note_stages([work for work in works if work.legs])
    works = _each(works, order.turns(works))
    works = _each(works, room.admitting())
    works = _each(works, steps.timed(steps.STAGING, _stage))
    with steps.together(steps.CHECKING, works):
        works = _intend(works)
    works = _well(works)
    with steps.together(steps.PUBLISHING, works):
        works = _each(works, publish.publish_items)
        publish.sync_names(works)
        publish.publish_manifests(works)
    works = _each(_well(works), _raise_away)
    works = _each(works, finish.remove_staging)
    with steps.together(steps.RECORDING, works):
        works = finish.record_done([*works, *complete])
    traces.tell(works, "delivered")
    for work in _each(works, finish.archive_arrival):
        where = {"arrival": work.id, "route": work.route.key, "name": work.arrival.name}
        ignored = {"ignored": len(work.not_delivered)} if work.not_delivered else {}
        log.info("Delivered", action="delivered", **where, **ignored)


def _intend(works: list[Work]) -> list[Work]:
    """Check and plan while the data is synced, then record the intent to publish.

    Works that fail a check are settled after the sync. Settling removes staged files, and a sync that misses files
    would fail the attempts of the whole batch.
    """
    failed: list[tuple[Work, Fault]] = []

    def later(work: Work, error: Fault) -> None:
        failed.append((work, error))

    with publish.syncing_staged(works) as synced:
        staged_checks.look_at_types(works)
        works = _each(works, staged_checks.check_items, later)
        works = _plan(works, later)
        works = _each(works, _require_release, later)
        synced()  # data before names: no intent before the data is on the disk
        for work, error in failed:
            settle(work, error)
        works = _well(works)
        publish.record_intent(works, staged_checks.prove_source_unchanged)
    return works


def _well(works: list[Work]) -> list[Work]:
    return _each(works, _raise_failure)


def _each(
    works: Iterable[Work], step: Callable[[Work], None], otherwise: Otherwise | None = None
) -> list[Work]:
    """The works for which the step succeeded; the outcome of the others is recorded (`settle`)."""
    well = []
    for work in works:
        bound = bind_contextvars(arrival=work.id)  # so that every line of the log has it, whoever writes it
        try:
            step(work)
        except (DropslotError, OSError) as error:
            (otherwise or settle)(work, error)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - one arrival must not hold up the others of its batch
            (otherwise or settle)(work, _unforeseen(error))
        else:
            well.append(work)
        finally:
            reset_contextvars(**bound)  # small arrivals come in between, while a large one is staged
    return well


def settle(work: Work, error: Fault) -> None:
    """Record the outcome of an attempt that did not end in a delivery."""
    traces.tell([work], "refused" if isinstance(error, Refused) and not work.committed else "retried", error)
    try:
        if isinstance(error, TakenOver):
            raise error
        if isinstance(error, Refused) and not work.committed:
            _refuse(work, error)
        elif isinstance(error, NotReleased):
            _hold(work, error)
        else:
            _try_later(work, error)
    except TakenOver:
        _clean(work)  # only its own epoch's staging: the other worker may have looked before it was made
        log.warning("Another worker continues it", action="taken_over", arrival=work.id, epoch=work.epoch)


def _refuse(work: Work, error: Refused) -> None:
    try:
        finish.refuse_arrival(work, error)
    except TakenOver:
        raise
    except (DropslotError, OSError) as trouble:
        _try_later(work, trouble)  # its staging could not be removed: it is refused once that works
    else:
        log.warning(
            "Refused", action="refused", arrival=work.id, epoch=work.epoch, reasons=len(error.reasons)
        )


def _require_release(work: Work) -> None:
    if work.is_to_be_held:
        releasing.hold_back(work)


def _hold(work: Work, error: NotReleased) -> None:
    _clean(work)
    guarded_writes.hold_arrival(work, str(error.what))
    log.info("Held until it is released", action="held", arrival=work.id, epoch=work.epoch)


def _try_later(work: Work, error: Fault) -> None:
    only_waits = isinstance(error, NameInFlight | NoRoom)
    seconds = _seconds_until_next(work.arrival, error)
    # Before another worker may take it: the next attempt skips complete destinations, so their staging must be gone.
    done = _clean(work)
    reasons = finish.describe(error, committed=work.committed)
    evidence = _noting_whether_it_waits(work, done, error)
    guarded_writes.postpone_attempt(work.hold, reasons, seconds, counts=not only_waits, evidence=evidence)
    _say_later(work.hold, seconds, error)


def _noting_whether_it_waits(work: Work, done: dict[str, Any] | None, error: Fault) -> dict[str, Any] | None:
    """The evidence with a note that the arrival waits for something to come, or for room, or without it; None: nothing
    is new."""
    notes: dict[str, Any] = {order.NOT_YET: True} if isinstance(error, NotYet) else {}
    if isinstance(error, room.Lacking):
        notes = {NO_ROOM: error.lacks}
    evidence = work.arrival.evidence
    if notes == {key: evidence[key] for key in _NOTES if key in evidence}:
        return done
    return {key: value for key, value in (done or evidence).items() if key not in _NOTES} | notes


def _seconds_until_next(arrival: Arrival, error: Fault) -> float:
    if isinstance(error, NameInFlight):
        return _turn_seconds(arrival, error.again_in)
    if isinstance(error, NoRoom):
        return guarded_writes.LONGEST_WAIT  # sooner if there is room: `space.watch` says so
    backoff = guarded_writes.backoff(arrival.attempts)
    return min(backoff, error.again_in) if isinstance(error, NotYet) else backoff


def _turn_seconds(arrival: Arrival, again_in: float | None) -> float:
    """Seconds until an arrival that waits for its turn is tried again. If nothing else is known, they grow with the
    time that it has waited, so that it is not tried all the time behind a slow one."""
    if again_in is None:
        again_in = (timezone.now() - arrival.received_at).total_seconds() / 10
    return min(max(0.2, again_in), LONGEST_TURN_SECONDS)


def _say_later(hold: Hold, seconds: float, error: Fault) -> None:
    code = getattr(error, "code", "os-error")
    where = {"arrival": hold.id, "epoch": hold.epoch}
    log.info("Retried later", action="retrying", **where, in_seconds=seconds, error=code)


def _clean(work: Work) -> dict[str, Any] | None:
    """Remove the staging; if that fails, the next attempt removes it. Returns the arrival's evidence with the complete
    destinations, or None if there are none."""
    complete = dict(work.complete)
    for leg in work.legs:
        try:
            leg.drop.clean()
            if leg.complete:
                complete[leg.target.url] = leg.had
        except (DropslotError, OSError) as error:
            log.info(
                "Staging is left for the next attempt",
                action="staging_left",
                arrival=work.id,
                error=str(error),
            )
    return work.arrival.evidence | {"complete": complete} if complete else None


def _raise_failure(work: Work) -> None:
    for failure in (work.failure, *(leg.failure for leg in work.legs)):
        if failure is not None:
            raise failure


def _raise_away(work: Work) -> None:
    for error in work.away.values():
        raise error


def _note_stages(works: list[Work]) -> list[Work]:
    """Record the targets that depend on the items' own values: before anything is staged there, and before others ask
    whose turn it is. One commit for the batch."""
    if not any(map(legs.to_be_noted, works)):
        return works
    with transaction.atomic():
        return _each(works, _note_stages_of)


def _note_stages_of(work: Work) -> None:
    if new := legs.to_be_noted(work):
        work.arrival.evidence |= new
        guarded_writes.update_held(work.hold, evidence=work.arrival.evidence)


def _stage(work: Work) -> None:
    """Read the arrival once for each destination; all of them stage before any publishes."""
    source = work.delivers

    def stage(leg: Leg) -> None:
        of_leg = source._replace(listing=leg.part or source.listing)
        if work.listing.is_folder:
            _refuse_twins(leg, of_leg.listing)
        if work.crew.announce:
            leg.staged = share_holder.stage(work, leg, of_leg)
        else:
            leg.staged = leg.drop.stage(of_leg, work.contents.algorithms, work.contents.prefix)
        leg.drop.admit([item for _, item in work.contents.delivered(leg.staged)])

    work.each_rule(stage)
    work.require_a_leg()
    first = work.staged
    for others in work.by_rule[1:]:
        digests = {item.path: item.sha256 for leg in others for item in leg.staged}
        if any(digests[item.path] != item.sha256 for item in first):
            raise SourceChanged(
                "The source had different bytes when it was read for different destinations",
                where="It is read again",
            )


def _refuse_twins(leg: Leg, listing: Listing) -> None:
    names = [item.path for item in listing.items]
    twins = leg.destination.twins(leg.target, names)
    if twins:
        raise Refused(
            [
                f"{escape(one)} and {escape(other)} are the same name at {leg.target.url}"
                for one, other in twins
            ]
        )


def _plan(works: list[Work], otherwise: Otherwise) -> list[Work]:
    shelves = names_and_versions.look_up_versions(works)

    def plan_one(work: Work) -> None:
        for leg in work.legs:
            names_and_versions.plan_names(work, leg, shelves[leg.target.url])

    return _each(works, plan_one, otherwise)
