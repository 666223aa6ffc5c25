"""Empties done, only of what is proved to be at its destination."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.db import transaction

from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.places import AGAIN, DOOMED
from dropslot.audit.chain import Entry, append
from dropslot.config.folders import FolderSet
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.destinations import read
from dropslot.storage.walk import list_arrival


class NotProved(DropslotError):
    """Something in done is not, or not any more, at its destination as it was recorded; it is kept."""

    code = "not-proved"


class NotRemoved(DropslotError):
    """Something that was proved to be at its destination could not be removed from done, or not whole."""

    code = "not-removed"
    retryable = True


def purgeable(before: datetime) -> Iterator[Arrival]:
    """Finished arrivals that still lie in done, the oldest first."""
    rows = Arrival.objects.filter(state=State.DONE, in_place=False, finished_at__lt=before).exclude(
        archived_as=""
    )
    return rows.order_by("id").iterator()


def purge(arrival: Arrival, *, dry_run: bool = False) -> int:
    """Remove one arrival from done; returns the bytes that became free (with `dry_run`, that would).

    Every file that is removed was read, and its SHA-256 is that of a delivery which was read too, at every
    destination. Raises NotProved, naming the first file for which that does not hold; then nothing is removed.
    Raises NotRemoved when the system refuses to.
    """
    archived = Path(arrival.archived_as)
    if not os.path.lexists(archived):
        if not dry_run:
            _forget(arrival, 0)  # taken out by hand, or by a purge that was interrupted
        return 0
    proved = _proved(arrival)
    listing = list_arrival(archived)
    if listing.faults or listing.unreadable:
        raise NotProved(
            f"{escape(str(archived))} is not what was archived: {[*listing.faults, *listing.unreadable][0]}"
        )
    prefix = arrival.evidence.get("prefix", "")
    for item in listing.items:
        path = archived / item.path if arrival.is_folder else archived
        if item.path.startswith(prefix) and _sha256(path) not in proved:
            raise NotProved(
                f"{escape(str(path))} is at no destination with these bytes",
                where="It stays in done",
                next_step="Look whether it was changed in done; move it into the inbox to deliver it",
            )
    if not dry_run:
        _remove(arrival, archived, listing.size_bytes)
    return listing.size_bytes


def _proved(arrival: Arrival) -> set[str]:
    """Digests that every destination of the arrival holds now."""
    proved: set[str] | None = None
    for place in {row.place for row in arrival.deliveries.select_related("place")}:
        here = set()
        for row in Delivery.objects.filter(arrival=arrival, place=place).iterator():
            if _stored_digest(place.url, row.stored_as) != row.sha256:
                raise NotProved(
                    f"{escape(row.stored_as)} at {place.url} is missing or changed",
                    where=f"The original stays at {escape(arrival.archived_as)}",
                    next_step="`dropslot verify --fixity` shows all such files",
                )
            here.add(row.sha256)
        proved = here if proved is None else proved & here
    return proved or set()


def _stored_digest(url: str, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        for block in read(url, name):
            digest.update(block)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise NotProved(
            f"{escape(str(path))} cannot be read: {error.strerror}", where="It stays in done"
        ) from error


def _remove(arrival: Arrival, archived: Path, size_bytes: int) -> None:
    # Renamed first: what is half removed does not stand under its name in done.
    doomed = archived.parent / f"{DOOMED}{arrival.id}"
    with suppress(FileNotFoundError):  # another purge was faster
        archived.rename(doomed)
    _forget(arrival, size_bytes)
    _delete(doomed)


def sweep(folders: FolderSet) -> list[NotRemoved]:
    """Finish what a purge that was interrupted had begun to remove; returns what could not be."""
    again = list((folders.done / AGAIN).glob("*"))
    left = []
    for parent in (folders.done, *again):
        for doomed in parent.glob(f"{DOOMED}*"):
            try:
                _delete(doomed)
            except NotRemoved as error:
                left.append(error)
    for parent in again:
        with suppress(OSError):  # an arrival is in it, or it is gone already
            parent.rmdir()
    return left


def _delete(doomed: Path) -> None:
    try:
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed)
        else:
            doomed.unlink(missing_ok=True)
    except OSError as error:
        raise NotRemoved(
            f"{escape(str(doomed))} cannot be removed whole: {error.strerror}",
            where="It was delivered; what is left of it stays there",
            next_step="A folder that its sender closed needs root (or CAP_CHOWN before it is taken): "
            "remove it by hand; the next purge tries again",
        ) from error
    if doomed.parent.parent.name == AGAIN and not any(doomed.parent.iterdir()):
        doomed.parent.rmdir()


def _forget(arrival: Arrival, size_bytes: int) -> None:
    with transaction.atomic():
        still_there = Arrival.objects.filter(id=arrival.id, archived_as=arrival.archived_as)
        if not still_there.update(archived_as=""):
            return  # another purge has said so already
        append([Entry("purged", arrival.id, {"from": arrival.archived_as, "size_bytes": size_bytes})])
