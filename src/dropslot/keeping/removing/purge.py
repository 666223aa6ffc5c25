"""Removes from done only what is proved to be at its destination."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Max, QuerySet, Window

from dropslot.arrivals.delivery.paths.target_parts import PARTS
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.upkeep.succession import successor
from dropslot.arrivals.whereabouts import AGAIN
from dropslot.audit import event_payloads
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.receipts import Named
from dropslot.core.addressing.addresses import place_of
from dropslot.core.errors import DropslotError, SourceChanged
from dropslot.core.file_names.litter import BY_DEFAULT, litter_of
from dropslot.core.names import escape
from dropslot.core.showing.quantities import chunks
from dropslot.core.states import State
from dropslot.destinations import for_url
from dropslot.destinations.base import Destination
from dropslot.files.emptying import Emptying
from dropslot.files.listing import Item, Listing
from dropslot.files.walk import list_arrival
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.holds import require_no_hold, require_no_hold_at
from dropslot.keeping.models import KeptOriginal

_AT_ONCE = 500
_BEGUN = (
    "purging"  # in the evidence, recorded before the first removal: after a crash, missing files were purged
)


class NotProved(DropslotError):
    """Something in done is not at its destination as recorded, or no longer; it is kept."""

    code = "not-proved"


class NotRemoved(DropslotError):
    """Something that was proved to be at its destination could not be removed from done, or not completely."""

    code = "not-removed"
    retryable = True


class Why(NamedTuple):
    """Why something is removed, and who wants that (empty: the service, by itself); both are recorded.
    `only_read_back`: a destination that only acknowledges is no proof."""

    because: str
    by: str = ""
    only_read_back: bool = False


class _Proved(NamedTuple):
    """Paths in the archived arrival, each with the SHA-256 that every destination holds of it now; which files (by
    device and inode) hold them at destinations on this machine; the destinations that only acknowledged them; and those
    of which every file was read."""

    digests: Mapping[str, str]
    files: set[tuple[int, int]]
    acknowledged: Sequence[str]
    read_back: Sequence[str]


class Purged(NamedTuple):
    """What became (or with `dry_run` would become) of one arrival in done: the bytes that are free, and the paths in it
    of what stays, because it was never delivered; and the destinations whose acknowledgment was the proof."""

    size_bytes: int
    stays: Sequence[str]
    acknowledged: Sequence[str] = ()
    read_back: Sequence[str] = ()
    items: int = 0


def archived_before(before: datetime) -> QuerySet[Arrival]:
    """Finished arrivals that are recorded to be still in done, the oldest first."""
    return _archived().filter(finished_at__lt=before).order_by("id")


def purgeable(before: datetime) -> Iterator[Arrival]:
    """Those that are there."""
    replaced = _replaced()
    for arrival in archived_before(before).iterator():
        if arrival.id not in replaced and (
            os.path.lexists(arrival.archived_as) or _BEGUN in arrival.evidence
        ):
            yield arrival


def give_up_replaced() -> None:
    """An original that was moved out of done and delivered again belongs to the newest arrival that names its path: the
    others have none any more. Nothing of it is removed, so no event says that it was purged. One under a legal hold
    keeps its path, so that the hold still protects what is there."""
    replaced = Arrival.objects.in_bulk(sorted(_replaced()))
    for some in chunks([id for id, row in replaced.items() if successor(row)], _AT_ONCE):
        with transaction.atomic():
            Arrival.objects.filter(id__in=some, legal_hold=None).update(archived_as="")
            KeptOriginal.objects.filter(arrival__in=some, arrival__archived_as="").delete()


def _archived() -> QuerySet[Arrival]:
    return Arrival.objects.filter(state=State.DONE, in_place=False).exclude(archived_as="")


def _replaced() -> set[str]:
    """Ids of arrivals whose path in done a later one names, too."""
    newest = Window(Max("finished_at"), partition_by="archived_as")
    rows = _archived().order_by().annotate(newest=newest).filter(newest__gt=F("finished_at"))
    return set(rows.values_list("id", flat=True))


def purge(arrival: Arrival, reader: Reader, why: Why, *, dry_run: bool = False) -> Purged | None:
    """Remove from done what one arrival delivered. None: it has no original there any more, which is no purge.

    Every file that is removed was read, and its SHA-256 is that of the delivery of this very item, which was read too,
    at every destination. Of a destination that cannot be read back its acknowledgment counts, which the receipt tells.
    What was never delivered (litter, a bag's tag files, what somebody put there later) stays, and the folders that it
    is in. Raises NotProved, naming the first delivered file for which that does not hold; then nothing is removed.
    Raises OnLegalHold, also if another arrival that names the same place is under one; then nothing is removed either.
    Raises NotRemoved when the system refuses to. After a crash some files are gone; the next purge goes on.
    """
    require_no_hold(arrival)
    if not arrival.archived_as:
        return None
    _require_own(arrival, Arrival.objects.get(id=arrival.id))
    archived = Path(arrival.archived_as)
    is_there = os.path.lexists(archived)
    if not is_there and (_BEGUN not in arrival.evidence or not _done_of(archived).is_dir()):
        return None  # moved away, or its disk is not mounted on this machine
    purged = _purge(arrival, archived, reader, why, dry_run=dry_run) if is_there else Purged(0, ())
    if not dry_run:
        _remove_empty_parent(archived)
        _forget(arrival, purged, why)
    return purged


def _purge(arrival: Arrival, archived: Path, reader: Reader, why: Why, *, dry_run: bool) -> Purged:
    proved = _proved(arrival, reader, why)
    listing = _listed(arrival, archived, proved)
    with _said(archived), Emptying(archived, listing) as done:
        removable = [item for item in listing.items if _is_proved(done, archived, item, proved, reader)]
        left = {item.path for item in listing.items} - {item.path for item in removable}
        if not dry_run:
            _begin(arrival)
            removable = done.remove(removable)
    size = sum(item.size_bytes for item in removable)
    stays = sorted(left) + listing.ignored
    return Purged(size, stays, proved.acknowledged, proved.read_back, len(removable))


def _begin(arrival: Arrival) -> None:
    """Commit that the removal begins, unless it was put under a legal hold meanwhile: a hold takes the same row. An
    arrival is recorded as done before it moves there. So what was listed before this is of no later arrival."""
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(id=arrival.id)
        require_no_hold(row)
        _require_own(arrival, row)
        arrival.evidence = row.evidence | {_BEGUN: True}
        Arrival.objects.filter(id=arrival.id).update(evidence=arrival.evidence)


def _require_own(arrival: Arrival, row: Arrival) -> None:
    """Raise NotProved unless what lies there is this arrival's own original still: its `row` says so, and no later
    arrival was archived at the same place since. Raises OnLegalHold if any arrival at that place is under one."""
    place = escape(arrival.archived_as)
    if row.archived_as != arrival.archived_as:
        raise NotProved(f"{place} is no longer its original", where="What is there now was left alone")
    if heir := row.evidence.get("heir"):
        raise NotProved(f"{place} was written to after its delivery", where=f"It goes on as arrival {heir}")
    require_no_hold_at(row.archived_as)
    if later := successor(row):
        raise NotProved(
            f"{place} is now the original of arrival {later.id}, which came later",
            where="It stays there; the original of this arrival was moved away before",
            next_step="Purge again: it looks at the later arrival alone",
        )


def _proved(arrival: Arrival, reader: Reader, why: Why) -> _Proved:
    where = f"The original stays at {escape(arrival.archived_as)}"
    by_rule: dict[str, dict[str, str]] = defaultdict(dict)  # the parts of one rule are one whole arrival
    parts = arrival.evidence.get(PARTS, {})
    files: set[tuple[int, int]] = set()
    acknowledged: set[str] = set()
    read_back: set[str] = set()
    places = {row.place: for_url(row.place.url) for row in arrival.deliveries.select_related("place")}
    # First those that cannot be read back: where they are no proof, nothing need be read.
    for place, destination in sorted(places.items(), key=lambda found: found[1].can_be_read):
        here = by_rule[parts[place.url]["to"] if place.url in parts else place.url]
        if destination.can_be_read:
            read_back.add(place.url)
        else:
            acknowledged.add(_acknowledged(place.url, why, where))
        for row in Delivery.objects.filter(arrival=arrival, place=place).iterator():
            if (
                destination.can_be_read
                and stored_digest(reader, place.url, row.stored_as, where) != row.sha256
            ):
                raise NotProved(
                    f"{escape(row.stored_as)} at {place.url} is missing or changed",
                    where=where,
                    next_step="`dropslot verify --fixity` shows all such files",
                )
            here[row.source_item or row.item] = row.source_sha256 or row.sha256
            if same := _identity(destination, place.url, row.stored_as, where):
                files.add(same)
    first, *others = by_rule.values() or [{}]
    proved = set(first.items()).intersection(*(other.items() for other in others))
    prefix = arrival.evidence.get("prefix", "")
    digests = {f"{prefix}{item}": sha256 for item, sha256 in proved}
    return _Proved(digests, files, sorted(acknowledged), sorted(read_back))


def _identity(destination: Destination, url: str, name: str, where: str) -> tuple[int, int] | None:
    try:
        return destination.identity(url, name)
    except OSError as error:
        raise _not_readable(url, name, error, where) from error


def _acknowledged(url: str, why: Why, where: str) -> str:
    if why.only_read_back:
        raise NotProved(
            f"{place_of(url)} only acknowledges: what it has cannot be read back",
            where=where,
            next_step="`dropslot purge` takes its acknowledgment as the proof, if you want that",
        )
    return place_of(url)


def stored_digest(reader: Reader, url: str, name: str, where: str) -> str | None:
    """SHA-256 of what is at a destination now; None when it is not there. Raises NotProved when it cannot be read;
    `where` says where the original is then."""
    try:
        return reader.digest(url, name)
    except OSError as error:
        raise _not_readable(url, name, error, where) from error


def _not_readable(url: str, name: str, error: OSError, where: str) -> NotProved:
    return NotProved(
        f"{escape(name)} at {url} cannot be read: {error.strerror}",
        where=where,
        next_step="Give the service read permission there, then purge again",
    )


def _listed(arrival: Arrival, archived: Path, proved: _Proved) -> Listing:
    litter = litter_of(tuple(arrival.evidence.get("ignore", BY_DEFAULT)))
    if sent := list(filter(litter.ignores, proved.digests)):  # a bag listed it
        litter = litter.keeping(sent)
    listing = list_arrival(archived, litter)
    if listing.faults or listing.unreadable:
        raise NotProved(
            f"{escape(str(archived))} is not what was archived: {[*listing.faults, *listing.unreadable][0]}"
        )
    return listing


def _is_proved(done: Emptying, archived: Path, item: Item, proved: _Proved, reader: Reader) -> bool:
    """Whether it was delivered, and may be removed. Raises NotProved when it is not what was delivered, or is the
    only copy."""
    if item.path not in proved.digests:
        return False
    if (done.device, item.inode) in proved.files:
        raise NotProved(
            f"{escape(item.path)} in {escape(str(archived))} is the same file as the one at its destination",
            where="It stays in done",
            next_step="A link or mount makes the destination part of done: give it a folder of its own",
        )
    if (fd := done.opened(item)) is None or reader.digest_of(fd, item.path) != proved.digests[item.path]:
        raise NotProved(
            f"{escape(item.path)} in {escape(str(archived))} is not at any destination with these bytes",
            where="It stays in done",
            next_step="Check whether it was changed in done; move it into the inbox to deliver it",
        )
    return True


@contextmanager
def _said(archived: Path) -> Iterator[None]:
    """An error in done, in the words of a purge."""
    try:
        yield
    except SourceChanged as error:
        raise NotProved(
            f"{escape(str(archived))} was changed while it was looked at: {error.what}",
            where="What was not removed yet stays in done",
            next_step="Purge again when nobody uses done",
        ) from error
    except OSError as error:
        raise NotRemoved(
            f"{escape(str(archived))} cannot be removed completely: {error.strerror}",
            where="It was delivered; what is left of it stays there",
            next_step="The sender may have closed a folder in it, which only root can remove: "
            "remove it by hand; the next purge retries it",
        ) from error


def _done_of(archived: Path) -> Path:
    above = archived.parent
    return above.parent.parent if above.parent.name == AGAIN else above


def _remove_empty_parent(archived: Path) -> None:
    if archived.parent.parent.name == AGAIN:
        with suppress(OSError):  # something of it stays
            archived.parent.rmdir()


def _forget(arrival: Arrival, purged: Purged, why: Why) -> None:
    """Record that it is no longer an archive. The event names what stays of it, which no longer belongs to
    dropslot."""
    with transaction.atomic():
        still_there = Arrival.objects.filter(id=arrival.id, archived_as=arrival.archived_as)
        if not still_there.update(archived_as=""):
            return  # another purge has recorded it already
        KeptOriginal.objects.filter(arrival=arrival.id).delete()
        stays = Named.of(purged.stays)
        data: event_payloads.Purged = {
            "from": arrival.archived_as,
            "size_bytes": purged.size_bytes,
            "items": purged.items,
            "because": why.because,
            "by": why.by,
            "read_back": list(purged.read_back),
        }
        if stays:
            data["stays"] = stays.body()
        if purged.acknowledged:
            data["acknowledged"] = list(purged.acknowledged)
        append([entry(Kind.PURGED, arrival.id, data)])
