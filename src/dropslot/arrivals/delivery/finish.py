"""Record and archive: the receipt in one transaction, then the arrival moves to done, or to failed with its reason."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery import guarded_writes, reserved, route_importer
from dropslot.arrivals.delivery.make_anew import MADE, discard
from dropslot.arrivals.delivery.refusal_reason import reason_text
from dropslot.arrivals.delivery.timing import steps
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake.claim import move, move_to_own
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import receipts
from dropslot.audit.chain import Entry, Head, append, timestamp
from dropslot.audit.event_payloads import Delivered
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Receipt
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.core import manifests
from dropslot.core.addressing.addresses import place_of
from dropslot.core.errors import DropslotError, Refused, TakenOver
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.destinations.base import OF_ONE
from dropslot.files.listing import Listing

log = structlog.get_logger()


def record_done(works: Sequence[Work]) -> list[Work]:
    """One transaction for all: state, events, signed receipts. Returns the works that were still ours."""
    if not works:
        return []
    finished = timezone.now()
    with transaction.atomic():
        done = works if _done(works, finished) else [work for work in works if _done([work], finished)]
        left = [entry for work in done if not work.legs for entry in _forget_others(work)]
        read = [
            entry for work in done if work.imported for entry in route_importer.record(work, work.imported)
        ]
        head = append([*left, *read, *(_delivered(work) for work in done)])
        signed = Receipt.objects.bulk_create(
            [receipts.sign(_receipt(work, head), work.config.keys) for work in done]
        )
    if done:
        kept = [_kept(work, receipt) for work, receipt in zip(done, signed, strict=True)]
        receipts.keep_outside(done[0].config.data, finished, kept)
    return list(done)


# Columns of an arrival that are neither in its receipt nor in a manifest.
ABOUT = ("inbox", "location", "fields", "is_folder", "in_place", "archived_as")


def _kept(work: Work, receipt: Receipt) -> receipts.Kept:
    about = {name: getattr(work.arrival, name) for name in ABOUT}
    about |= {
        "name_bytes": bytes(work.arrival.name_bytes).hex(),
        "prefix": work.arrival.evidence.get("prefix"),
        "dropped_at": timestamp(work.arrival.dropped_at),
    }
    if work.made:
        about["sources"] = work.made.sources
    listings = {leg.target.url: leg.manifest for leg in work.legs if not leg.has_manifest}
    # A destination that an earlier attempt completed may have no manifest, either.
    listings |= {url: _listing(work, url) for url in work.complete}
    return receipts.Kept(receipt.body, receipt.signature, about, listings)


def _listing(work: Work, url: str) -> str:
    rows = Delivery.objects.filter(arrival_id=work.id, place__url=url).order_by("id")
    return manifests.write(rows.values_list("sha256", "stored_as"))


def _forget_others(work: Work) -> Iterator[Entry]:
    """Entries for destinations that config.yaml no longer has. All destinations that it still has were complete before.
    Nothing was proved about the others, except for files that somebody fetched there."""
    Arrival.objects.filter(id=work.id).update(intent=work.manifests)
    others = Delivery.objects.filter(arrival_id=work.id).exclude(place__url__in=list(work.complete))
    yield from reserved.left_behind(work, reserved.forget(others))


_DONE = ("state", "finished_at", "reason", "worker", "lease_until", "look_again_at")


def _done(works: Sequence[Work], finished: datetime) -> bool:
    """Set all of them done, or none: another worker may have taken one over."""
    try:
        with transaction.atomic():
            values: list[tuple[Any, ...]] = [
                (State.DONE, finished, [], "", None, first_look(work.arrival, finished)) for work in works
            ]
            guarded_writes.update_all(works, _DONE, values)
    except TakenOver as error:
        if len(works) == 1:
            works[0].failure = error
        return False
    for work in works:
        work.arrival.finished_at = finished
    return True


def _delivered(work: Work) -> Entry:
    data: Delivered = {"epoch": work.epoch, "outcomes": _outcomes(work), "manifests": work.manifests}
    if seconds := steps.seconds(work.times):
        data["seconds"] = seconds
    # They move to done, but are not delivered.
    if ignored := receipts.Named.of(work.not_delivered):
        data["ignored"] = ignored.body()
    return entry(Kind.DELIVERED, work.id, data)


def _outcomes(work: Work) -> dict[str, int]:
    counted = Counter(str(row.outcome) for leg in work.legs for row in leg.rows)
    if work.complete:
        rows = Delivery.objects.filter(arrival_id=work.id, place__url__in=list(work.complete))
        counted.update(rows.values_list("outcome", flat=True))
    return dict(counted)


def _receipt(work: Work, head: Head) -> dict[str, Any]:
    arrival = work.arrival
    assert arrival.finished_at is not None
    return receipts.Summary(
        arrival=work.id,
        route=arrival.route,
        name=arrival.name,
        sender=arrival.sender,
        received_at=arrival.received_at,
        finished_at=arrival.finished_at,
        outcomes=_outcomes(work),
        manifests=work.manifests,
        guarantees=_guarantees(work),
        ignored=receipts.Named.of(work.not_delivered),
        head=head,
    ).body()


def _guarantees(work: Work) -> list[str]:
    return [
        receipts.SOURCE_COMPARED,
        *([receipts.SOURCE_LEASED] if work.leased else []),
        *([receipts.BAG_VALIDATED] if work.contents.is_bag else []),
        *_made(work),
        *_proved(work),
        *_times(work),
    ]


def _made(work: Work) -> list[str]:
    if MADE not in work.arrival.evidence:
        return []
    rows = Delivery.objects.filter(arrival_id=work.id).exclude(source_sha256="")
    return [receipts.MADE_ANEW.format(count=rows.values("item").distinct().count())]


def _times(work: Work) -> list[str]:
    shifted = max((had.get("shifted", 0) for had in work.had_at.values()), default=0)
    return [receipts.TIMES_SHIFTED.format(count=shifted)] if shifted else []


def _proved(work: Work) -> list[str]:
    """Guarantees that all remote destinations gave, and what is proved of single ones alone."""
    of_each = {
        url: frozenset(proved) for url, had in work.had_at.items() if (proved := had["proved"]) is not None
    }
    by_all = frozenset.intersection(*of_each.values()) if of_each else frozenset()
    # By the place alone: an arrival may have a path for each item.
    of_one = {
        f"{said}: {place_of(url)}"
        for url, proved in of_each.items()
        for said in proved
        if said.startswith(OF_ONE)
    }
    return [*sorted(said for said in by_all if not said.startswith(OF_ONE)), *sorted(of_one)]


def remove_staging(work: Work) -> None:
    """Remove the staging before the arrival is finished: afterwards nobody would look for it. After a crash in between
    the next attempt finds everything published, or refuses again."""
    for leg in work.legs:
        leg.drop.clean()


def archive_arrival(work: Work) -> None:
    """Move a recorded arrival to done. If that fails, or after a crash, recovery does it."""
    with or_later(work.id, "Delivered and recorded, but it could not be moved to done"):
        archive_folder(work.folders, work.arrival, whereabouts.held(work.folders, work.id, work.epoch))
    with suppress(OSError):  # recovery removes it
        if work.made:
            discard(work.config, work.id)


@contextmanager
def or_later(arrival: str, what: str) -> Iterator[None]:
    """Log a failed move. It does not change the record; recovery moves the arrival later."""
    try:
        yield
    except OSError as error:
        log.warning(
            f"{what}: {error.strerror or error}. It stays in processing, and is moved as soon as that works again;"
            " `dropslot doctor` says what is wrong with the folders",
            action="not_moved",
            arrival=arrival,
        )


def archive_folder(folders: FolderSet, arrival: Arrival, holding: Path) -> None:
    """From processing/ID-EPOCH/NAME to done/NAME, or to done/.again/ID/NAME when that is taken."""
    name = os.fsdecode(bytes(arrival.name_bytes))
    try:
        _archive(folders, arrival, holding, name)
    except FileNotFoundError:
        if os.path.lexists(holding / name):  # else it was moved already
            raise
    _remove_if_empty(holding)


def _archive(folders: FolderSet, arrival: Arrival, holding: Path, name: str) -> None:
    first, again = whereabouts.archived(folders, arrival.id, name)
    if arrival.archived_as not in ("", str(first), str(again)) and os.path.lexists(holding / name):
        _will_lie_at(arrival, first)  # config.yaml names another done folder now
    if arrival.archived_as == str(first):
        try:
            move(holding / name, first)
        except FileExistsError:
            _will_lie_at(arrival, again)
    if arrival.archived_as == str(again):
        again.parent.parent.mkdir(mode=0o700, exist_ok=True)
        move_to_own(holding, again.parent)


def _will_lie_at(arrival: Arrival, place: Path) -> None:
    """Record the new place before the move, so that the same steps finish it after a crash. Nothing is recorded if a
    faster worker has finished the move and a purge has already cleared the place."""
    rows = Arrival.objects.filter(id=arrival.id, archived_as=arrival.archived_as)
    if rows.update(archived_as=str(place)):
        arrival.archived_as = str(place)


def _remove_if_empty(holding: Path) -> None:
    with suppress(OSError):  # gone already
        holding.rmdir()


def refuse_arrival(work: Work, error: Refused) -> None:
    """Refuse the whole arrival: it moves to failed/ID/NAME, beside failed/ID/REASON.txt."""
    reasons = error.reasons
    remove_staging(work)
    discard(work.config, work.id)
    holding = whereabouts.held(work.folders, work.id, work.epoch)
    if work.arrival.in_place:
        # Holds only the reason. Made before the commit, so that recovery finds it after a crash.
        holding.mkdir(mode=0o700, exist_ok=True)
    try:
        guarded_writes.record_refusal(work, reasons)
    except TakenOver:
        _remove_if_empty(holding)
        raise
    work.arrival.reason = reasons
    with or_later(work.id, "Refused, but it could not be moved to failed"):
        file_refused(work.config, work.folders, work.arrival, holding)


def file_refused(config: Config, folders: FolderSet, arrival: Arrival, holding: Path) -> None:
    """Move a refused arrival and its reason to failed as one folder, by one rename. May be repeated."""
    name = os.fsdecode(bytes(arrival.name_bytes))
    target = whereabouts.refused(folders, arrival.id)
    try:
        whereabouts.reason_file(holding, name).write_text(
            reason_text(config, folders.route, arrival), "utf-8", "backslashreplace"
        )
        move_to_own(holding, target)
    except FileNotFoundError:
        if holding.is_dir():  # else it was moved already
            raise


PARTLY = "Some of its files may already be at their destination, each of them complete; the rest waits in processing"


def describe(error: DropslotError | OSError, *, committed: bool = False) -> list[str]:
    """An error as reasons for people. `committed`: this or an earlier attempt may have published a part of the arrival;
    the error itself does not know that."""
    if isinstance(error, Refused):
        return [*error.reasons, PARTLY] if committed else error.reasons
    if isinstance(error, DropslotError):
        if committed and error.where.startswith("Nothing"):
            error = DropslotError(error.what, where=PARTLY, next_step=error.next_step)
        return [str(error)]
    at = f" at {escape(os.fsdecode(error.filename))}" if isinstance(error.filename, (str, bytes)) else ""
    return [
        f"The system refused: {error.strerror or error}{at}. The source is untouched, and what was delivered before"
        " stays as it is. It is retried; if this goes on, run `dropslot doctor`."
    ]


FIRST_LOOK = timedelta(minutes=1)


def fingerprint(listing: Listing) -> str:
    """SHA-256 over the facts that a look without reading compares. Without the inode: some network file systems change
    its number."""
    digest = hashlib.sha256()
    for item in listing.items:
        # The move to done gives a single file another ctime.
        ctime = item.ctime_ns if listing.is_folder else 0
        digest.update(
            repr((item.path, item.size_bytes, item.mtime_ns, ctime)).encode("utf-8", "surrogateescape")
        )
    return digest.hexdigest()


def first_look(arrival: Arrival, finished: datetime) -> datetime | None:
    """When to compare an arrival for the first time; None if all of it was read under leases."""
    return finished + FIRST_LOOK if "unleased" in arrival.evidence else None
