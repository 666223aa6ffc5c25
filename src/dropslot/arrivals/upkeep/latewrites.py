"""Compares arrivals that were read without a lease with their archive, once more and later.

If the service gets no lease (files of other accounts, network file systems), a program may have an item open for
writing while it is staged, and continue afterwards. Then the delivered file is incomplete, and the archive has the
complete one. Comparing names, sizes and times is cheap, and is done a few times in the month after the delivery;
`verify` and `purge` compare, too. A difference is an alarm, and the complete content becomes an arrival of its own,
with the first one's time of drop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.finish import FIRST_LOOK, fingerprint
from dropslot.arrivals.intake import claim_without_row, inplace, record
from dropslot.arrivals.intake.claim import EPOCH, id_of_drop, move_to_own
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep.succession import successor
from dropslot.arrivals.whereabouts import folders_of
from dropslot.audit.chain import Entry, append
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet
from dropslot.contents.contents_of_arrival import sent_on_purpose
from dropslot.core.errors import DropslotError, SourceChanged
from dropslot.core.file_names.litter import BY_DEFAULT, litter_of
from dropslot.core.names import escape
from dropslot.files.listing import Item, Listing
from dropslot.files.regular_files import sha256_of
from dropslot.files.walk import list_arrival

log = structlog.get_logger()

_LONGER = 8  # times, from look to look: 1 minute, 8, an hour, 8.5 hours, 3 days, 23 days
_LAST_LOOK = timedelta(days=30)
_AT_ONCE = 64
_ARCHIVED_WITHIN = (
    10_000_000_000  # ns after the delivery in which the move to done gave a single file its ctime
)
_LISTED = 100


class Difference(NamedTuple):
    """An item of the archive that differs from its delivery; `delivered` is empty if it was not there then. Items
    that are no longer in the archive are left out: a purge may be at work."""

    item: str
    delivered: str
    found: str


def look_due(config: Config, elsewhere: Collection[str] = ()) -> bool:
    """Compare the archives that are due, by names, sizes and times. False: none was. `elsewhere`: inboxes whose
    archives this machine does not have."""
    rows = Arrival.objects.filter(look_again_at__isnull=False, look_again_at__lte=Now())
    due = list(rows.exclude(inbox__in=elsewhere).order_by("look_again_at")[:_AT_ONCE])
    looked = {arrival.id: (arrival, _look(config, arrival)) for arrival in due}
    if looked:
        with transaction.atomic():
            for row in Arrival.objects.select_for_update().filter(id__in=list(looked)).order_by("id"):
                arrival, when = looked[row.id]
                if row.look_again_at == arrival.look_again_at:  # otherwise another process was faster
                    row.look_again_at, row.evidence["unleased"] = when, arrival.evidence["unleased"]
                    row.save(update_fields=["look_again_at", "evidence"])
    return bool(looked)


def _look(config: Config, arrival: Arrival) -> datetime | None:
    """One look; returns when to take the next one."""
    folders = folders_of(config, arrival)
    if not arrival.archived_as or folders is None:
        return None
    try:
        if "heir" in arrival.evidence:
            return _go_on(config, folders, arrival)
        listing = _listing(arrival)
        found = differences(arrival, listing, read=False)
        if not found:
            return _next(arrival)
        if not _is_quiet(listing, folders):
            return timezone.now() + folders.route.settle
        _write_down(arrival, found)
        log.error(words(arrival, found), action="written_since", arrival=arrival.id)
        hand_over(config, folders, arrival)
    except (DropslotError, OSError) as error:
        log.info(
            "Not compared with done; retried later",
            action="not_compared",
            arrival=arrival.id,
            error=str(error),
        )
        return _next(arrival)
    return None


def _go_on(config: Config, folders: FolderSet, arrival: Arrival) -> datetime | None:
    """The alarm is recorded, but a crash, a fault or a writer that was not quiet stopped the hand-over; as
    `_look`."""
    with suppress(SourceChanged):  # it is not in done any more
        if not _is_quiet(_listing(arrival), folders):
            return timezone.now() + folders.route.settle
    hand_over(config, folders, arrival)
    return None


def _next(arrival: Arrival) -> datetime | None:
    if "heir" in arrival.evidence:
        return timezone.now() + FIRST_LOOK
    assert arrival.finished_at is not None
    age = timezone.now() - arrival.finished_at
    return arrival.finished_at + age * _LONGER if age < _LAST_LOOK else None


def _is_quiet(listing: Listing, folders: FolderSet) -> bool:
    changed = max((max(item.mtime_ns, item.ctime_ns) for item in listing.items), default=0)
    return not 0 <= time.time() - changed / 1e9 < folders.route.settle.total_seconds()


Digest = Callable[[int, str], str]  # of an open file, which it closes; with its name


def compare(arrival: Arrival, *, read: bool, digest: Digest = sha256_of) -> list[Difference]:
    """How the archive of an arrival differs from its delivery. With `read` every item is read, otherwise only items
    of an archive whose names, sizes or times have changed. `digest` reads: as quickly as it may, and may end it. Raises
    SourceChanged when it is not there, SourceUnready, StorageFault and OSError."""
    return differences(arrival, _listing(arrival), read=read, digest=digest)


def differences(
    arrival: Arrival, listing: Listing, *, read: bool, digest: Digest = sha256_of
) -> list[Difference]:
    """As `compare`, for the present listing."""
    seen = fingerprint(listing)
    if not read and seen == arrival.evidence["unleased"] and not _has_new_ctime(arrival, listing):
        return []
    found = list(_differences(arrival, listing, digest))
    if not found:
        arrival.evidence["unleased"] = seen  # touched, no more
    return found


def compare_in_place(config: Config, arrival: Arrival, *, digest: Digest = sha256_of) -> list[Difference]:
    """Changes in the source of the newest revision that left its times as they were: a store into a mapped page may
    do so. Every other change makes a revision by itself. Every item is read. Raises as `compare`."""
    folders = folders_of(config, arrival)
    last = inplace.last_of(folders, _name(arrival)) if folders else None
    if folders is None or last is None or last.id != arrival.id:
        return []
    listing = list_arrival(folders.inbox / _name(arrival), folders.route.litter)
    is_as_it_was = inplace.fingerprint(listing) == arrival.evidence.get("seen")
    return list(_differences(arrival, listing, digest)) if is_as_it_was else []


def revise(arrival: Arrival, found: Sequence[Difference]) -> None:
    """Record the alarm; the next look at the inbox then takes the source as a revision."""
    evidence = arrival.evidence | {"seen": ""}
    with transaction.atomic():
        if Arrival.objects.filter(id=arrival.id, evidence__seen=arrival.evidence["seen"]).update(
            evidence=evidence
        ):
            append([_event(arrival, found)])


def _name(arrival: Arrival) -> str:
    return os.fsdecode(bytes(arrival.name_bytes))


def _lies_at(arrival: Arrival) -> str:
    return os.path.join(arrival.inbox, _name(arrival)) if arrival.in_place else arrival.archived_as


def _has_new_ctime(arrival: Arrival, listing: Listing) -> bool:
    """Whether a single file was written to and its other times were set back."""
    if listing.is_folder or not listing.items or arrival.finished_at is None:
        return False
    return listing.items[0].ctime_ns > arrival.finished_at.timestamp() * 1e9 + _ARCHIVED_WITHIN


def _listing(arrival: Arrival) -> Listing:
    archived = Path(arrival.archived_as)
    if successor(arrival):
        raise SourceChanged(f"{escape(arrival.archived_as)} is now the archive of a later arrival")
    litter = litter_of(tuple(arrival.evidence.get("ignore", BY_DEFAULT)))
    listing = list_arrival(archived, litter)
    if listing.ignored and (kept := sent_on_purpose(archived, listing)):
        listing = list_arrival(archived, litter.keeping(kept))
    return listing


def _differences(arrival: Arrival, listing: Listing, digest: Digest) -> Iterator[Difference]:
    rows = arrival.deliveries.values_list("item", "sha256", "source_item", "source_sha256")
    delivered = {source or item: made_of or same for item, same, source, made_of in rows}
    prefix = arrival.evidence.get("prefix", "")
    for item in listing.items:
        if item.path.startswith(prefix):
            name, found = item.path.removeprefix(prefix), _sha256(arrival, item, digest)
            if found != (expected := delivered.get(name, "")):
                yield Difference(name, expected, found)


def _sha256(arrival: Arrival, item: Item, digest: Digest) -> str:
    path = os.path.join(_lies_at(arrival), item.path) if arrival.is_folder else _lies_at(arrival)
    return digest(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), item.path)


def alarm(config: Config, arrival: Arrival, found: Sequence[Difference]) -> None:
    """Record the alarm, and hand over the complete content: now if it is quiet, otherwise as soon as it is."""
    _write_down(arrival, found)
    folders = folders_of(config, arrival)
    if folders is not None and _is_quiet(_listing(arrival), folders):
        hand_over(config, folders, arrival)


def hand_over(config: Config, folders: FolderSet, arrival: Arrival) -> None:
    """Move the complete content from done to processing, as the arrival whose id the alarm has. May be repeated, also
    by other processes at the same time. After a crash the next look continues, or recovery adopts the entry in
    processing."""
    heir, archived = arrival.evidence["heir"], Path(arrival.archived_as)
    holding = _taken_out(folders, arrival)
    if holding and (claim := claim_without_row.claim_in(folders, heir, holding)):
        sender = arrival.evidence.get("uid", claim.uid)
        record.record_claims(config, [replace(claim, uid=sender)])
    with suppress(OSError):  # it is not done/.again/ID
        if archived.parent.parent.name == whereabouts.AGAIN:
            archived.parent.rmdir()
    Arrival.objects.filter(id=arrival.id, archived_as=arrival.archived_as).update(
        archived_as="", look_again_at=None
    )


def _taken_out(folders: FolderSet, arrival: Arrival) -> Path | None:
    """The folder in processing that now holds the complete content. None: it was recorded, and may be in done again
    under the same name; or somebody removed it. The row is locked meanwhile, so that a process that wakes up late
    cannot move another entry with that name."""
    heir, archived = arrival.evidence["heir"], Path(arrival.archived_as)
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(id=arrival.id)
        # In this order: it leaves processing only after its row is there.
        if holding := _holding(folders, heir):
            return holding
        if row.archived_as != arrival.archived_as or Arrival.objects.filter(id=heir).exists():
            return None
        holding = whereabouts.held(folders, heir, 1)
        while os.path.lexists(archived) and not successor(row):
            holding.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # recovery removes a folder that is empty yet
                move_to_own(archived, holding / archived.name)
                return holding
    return None


def _holding(folders: FolderSet, arrival: str) -> Path | None:
    """The folder in processing in which an arrival lies."""
    held = (folder for held, _, folder in whereabouts.holdings(folders) if held == arrival)
    return next((folder for folder in held if whereabouts.entry_of(folder, "")), None)


def _write_down(arrival: Arrival, found: Sequence[Difference]) -> None:
    """Record the alarm, once, with the id of the new arrival. Until that arrival is recorded, a next look is due."""
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(id=arrival.id)
        if "heir" not in row.evidence:
            ctime_ns = (row.dropped_at - EPOCH) // timedelta(microseconds=1) * 1000
            row.evidence["heir"] = id_of_drop(ctime_ns)
            row.look_again_at = arrival.look_again_at = timezone.now()
            row.save(update_fields=["evidence", "look_again_at"])
            append([_event(row, found)])
    arrival.evidence = row.evidence


class WrittenSince(DropslotError):
    """The archived file was written to after its delivery; the complete content follows as the next version."""

    code = "written-since"


def require_compared(
    config: Config, arrival: Arrival, *, dry_run: bool = False, digest: Digest = sha256_of
) -> None:
    """Call it before an arrival that was read without a lease is removed from done: raises WrittenSince if anything
    in it differs from its delivery, and hands that over, unless it is a `dry_run`. `digest` as for `compare`."""
    if "unleased" not in arrival.evidence or not os.path.lexists(arrival.archived_as):
        return
    if found := compare(arrival, read=True, digest=digest):
        if not dry_run:
            alarm(config, arrival, found)
        raise WrittenSince(words(arrival, found))


def told(arrival: Arrival) -> None:
    """The alarm has been reported to somebody."""
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(id=arrival.id)
        row.evidence["told"] = True
        row.save(update_fields=["evidence"])
    arrival.evidence = row.evidence


def _event(row: Arrival, found: Sequence[Difference]) -> Entry:
    files = [difference._asdict() for difference in found[:_LISTED]]
    return entry(
        Kind.WRITTEN_SINCE,
        row.id,
        {
            "lies_at": escape(_lies_at(row)),
            "count": len(found),
            "files": files,
            "goes_on_as": row.evidence.get("heir", ""),
        },
    )


def words(arrival: Arrival, found: Sequence[Difference] = ()) -> str:
    """The alarm for people."""
    first = escape(found[0].item) if found else "it"
    more = f" (and {len(found) - 1} more items)" if len(found) > 1 else ""
    heir = arrival.evidence.get("heir")
    follows = "follows as the next version"
    if heir:
        follows += f", as arrival {heir}"
    elif not arrival.in_place:
        follows = "is not delivered yet: run `dropslot verify` as the service's account"
    return (
        f"{first}{more} was written to after it had been delivered: its sender still had it open, and the service gets "
        f"no lease on such files. What was delivered (arrival {arrival.id}) stays as it is; the content now {follows}"
    )
