"""Removes from failed only what was dismissed or was delivered later by another arrival."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.db import transaction

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.refusal_reason import DISMISSED, PURGED
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep.retry import require_failed
from dropslot.arrivals.whereabouts import folders_of
from dropslot.audit.chain import append
from dropslot.audit.event_payloads import Purged
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.file_names.litter import BY_DEFAULT, Litter, litter_of
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.destinations import for_url
from dropslot.files.listing import Listing
from dropslot.files.walk import list_arrival
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.holds import require_no_hold
from dropslot.keeping.removing.purge import NotProved, NotRemoved, stored_digest

_CANDIDATES = 20  # how many later arrivals of the same size are compared


class NotDecided(DropslotError):
    """Nobody has dismissed the refused arrival, and it was not delivered since; it is kept."""

    code = "not-decided"


def purgeable_failed(before: datetime) -> Iterator[Arrival]:
    """Arrivals that were refused before a time, and dismissed before it if they were; the oldest first."""
    for arrival in (
        Arrival.objects.filter(state=State.FAILED, finished_at__lt=before).order_by("id").iterator()
    ):
        dismissed = arrival.evidence.get(DISMISSED)
        if not dismissed or datetime.fromisoformat(dismissed["at"]) < before:
            yield arrival


def purge_failed(
    config: Config, arrival: Arrival, reader: Reader, by: str, *, dry_run: bool = False
) -> int | None:
    """Remove one arrival from failed; returns the bytes that became free (with `dry_run`, that would). None: nothing
    of it lies there.

    Either it was dismissed, or every file of it was read here and at every destination of one later arrival, with the
    same SHA-256. Raises NotDecided, NotProved or OnLegalHold, then nothing is removed; NotRemoved when the system
    refuses to. After a crash the same call finishes it. `by` is recorded.
    """
    require_no_hold(arrival)
    folders = folders_of(config, arrival)
    if folders is None:
        raise NotDecided(f"Its route {arrival.route}, inbox {arrival.inbox}, is no longer in config.yaml")
    folder = whereabouts.refused(folders, arrival.id)
    doomed = folder.with_name(f"{whereabouts.DOOMED}{arrival.id}")
    size: int | None = None
    if PURGED not in arrival.evidence:
        if not folder.is_dir():
            return None
        listing, why = _decided(arrival, folder, reader)
        _require_as_it_was(arrival, folder, listing)
        size = listing.size_bytes
        if not dry_run:
            _forget(arrival, folder, size, why, by)
    if not dry_run:
        # Recorded first: from then on no retry can take it. A half-removed arrival must not be under its id.
        with suppress(FileNotFoundError):
            folder.rename(doomed)
        _delete(doomed)
    return size


def _decided(arrival: Arrival, folder: Path, reader: Reader) -> tuple[Listing, str]:
    """The entry there, and why it may be removed. Raises NotDecided and NotProved."""
    dismissed = arrival.evidence.get(DISMISSED)
    entries = whereabouts.entry_of(folder, os.fsdecode(bytes(arrival.name_bytes)))
    litter = litter_of(tuple(arrival.evidence.get("ignore", BY_DEFAULT)))
    listing = list_arrival(folder / entries[0], litter) if len(entries) == 1 else list_arrival(folder)
    if dismissed:
        return listing, f"dismissed by {dismissed['by']}: {dismissed['reason']}"
    if arrival.in_place or len(entries) != 1 or _holds_more(listing):
        raise _not_decided(arrival)
    _require_alone(folder, entries[0], litter)
    by = _delivered_by(arrival, folder / entries[0], listing, reader)
    return listing, f"delivered by arrival {by.id}"


def _require_alone(folder: Path, name: str, litter: Litter) -> None:
    """Raise NotProved if anything lies beside the arrival but its reason: nothing else has that."""
    others = set(os.listdir(folder)) - {name, *whereabouts.REASONS}
    if found := sorted(other for other in others if not litter.ignores(other)):
        raise NotProved(
            f"{escape(found[0])} in {escape(str(folder))} is nowhere else",
            where="It stays in failed",
            next_step="Move it away, then purge again",
        )


def _require_as_it_was(arrival: Arrival, folder: Path, listing: Listing) -> None:
    """Raise NotProved if something came into it while it was compared. What was dismissed need not be proved."""
    if DISMISSED in arrival.evidence:
        return
    entries = whereabouts.entry_of(folder, os.fsdecode(bytes(arrival.name_bytes)))
    now = list_arrival(folder / entries[0], listing.litter) if len(entries) == 1 else None
    _require_alone(folder, entries[0] if entries else "", listing.litter)
    if now is None or now.items != listing.items or now.folders != listing.folders or _holds_more(now):
        raise NotProved(
            f"{escape(str(folder))} was changed while it was looked at",
            where="It stays in failed",
            next_step="Purge again when nobody uses failed",
        )


def _holds_more(listing: Listing) -> bool:
    """Whether there is something that no delivery can prove."""
    return bool(listing.faults or listing.unreadable or listing.ignored or not listing.items)


def _delivered_by(arrival: Arrival, path: Path, listing: Listing, reader: Reader) -> Arrival:
    """The later arrival of the same route that delivered the same files: the same bytes, in a folder under the same
    paths. Raises NotDecided if there is none, NotProved if a destination no longer has them."""
    later = Arrival.objects.filter(
        route=arrival.route,
        state=State.DONE,
        finished_at__gt=arrival.finished_at,
        is_folder=arrival.is_folder,
        items=len(listing.items),
        size_bytes=listing.size_bytes,
    )
    candidates = list(later.order_by("-id")[:_CANDIDATES])
    if not candidates:
        raise _not_decided(arrival)
    files = {
        item.path if arrival.is_folder else "": _digest_of(path / item.path if arrival.is_folder else path)
        for item in listing.items
    }
    for candidate in candidates:
        if _has_delivered(candidate, files, reader):
            return candidate
    raise _not_decided(arrival)


def _has_delivered(candidate: Arrival, files: dict[str, str], reader: Reader) -> bool:
    """Whether each destination of the candidate got exactly these files. Raises NotProved if one no longer has
    them."""
    rows = list(candidate.deliveries.select_related("place"))
    for place in {row.place for row in rows}:
        here = [row for row in rows if row.place == place]
        if {row.item if candidate.is_folder else "": row.sha256 for row in here} != files:
            return False
    for row in rows:
        can_be_read = for_url(row.place.url).can_be_read  # else its acknowledgment is the proof
        where = "It stays in failed"
        if can_be_read and stored_digest(reader, row.place.url, row.stored_as, where) != row.sha256:
            raise NotProved(
                f"It was delivered by arrival {candidate.id}, but {escape(row.stored_as)} at {row.place.url} is missing"
                " or changed",
                where=where,
                next_step="`dropslot verify --fixity` shows all such files",
            )
    return bool(rows)


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise NotProved(
            f"{escape(str(path))} cannot be read: {error.strerror}", where="It stays in failed"
        ) from error


def _delete(doomed: Path) -> None:
    try:
        shutil.rmtree(doomed)
    except FileNotFoundError:
        return  # removed before
    except OSError as error:
        raise NotRemoved(
            f"{escape(str(doomed))} cannot be removed completely: {error.strerror}",
            where="What is left of it stays there",
            next_step="Remove it by hand, or purge again",
        ) from error


def _not_decided(arrival: Arrival) -> NotDecided:
    return NotDecided(
        "It was not delivered later, and nobody has dismissed it",
        next_step=f"dropslot retry {arrival.id}, or dropslot dismiss {arrival.id} --reason 'WHY'",
    )


def _forget(arrival: Arrival, folder: Path, size_bytes: int, why: str, by: str) -> None:
    with transaction.atomic():
        row = Arrival.objects.select_for_update().get(pk=arrival.pk)
        require_failed(row, unless=DISMISSED)
        require_no_hold(row)
        Arrival.objects.filter(pk=row.pk).update(evidence=row.evidence | {PURGED: why})
        data: Purged = {"from": str(folder), "size_bytes": size_bytes, "because": why, "by": by}
        append([entry(Kind.PURGED, row.id, data)])
