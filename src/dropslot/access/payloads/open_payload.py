"""Finds the bytes of a delivery: at its destination if that is on this machine, otherwise in the archive, otherwise at
the other machine where they are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Literal

from dropslot.access.payloads import proving
from dropslot.arrivals.listings.queries import archived_item
from dropslot.arrivals.models import Delivery
from dropslot.config import current
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.destinations import for_url, open_here, read
from dropslot.files.descriptors import ClosesItself, Folder
from dropslot.files.regular_files import open_regular

PROVED_FIRST_BYTES = 64 * 1024 * 1024  # read in less than half a second
# Before it is given out: always, never, or if it is small or anything about it differs from the record.
Prove = Literal["always", "in doubt", "never"]


class NotHere(DropslotError):
    """The bytes of a delivery are not on this machine, or not as they were delivered; it says where they are."""

    code = "payload-not-here"


class Payload(ClosesItself):
    """An open file with the size that was delivered. It closes itself when nobody holds it any more: an answer may end
    before its first byte is asked for."""

    def __init__(self, delivery: Delivery, fd: int, place: str) -> None:
        super().__init__(fd)
        self.delivery = delivery
        self.place = place  # "destination", "archive" or "server"
        self.status = os.fstat(fd)  # when it was opened

    @property
    def size_bytes(self) -> int:
        return self.delivery.size_bytes


def opened(delivery: Delivery, prove: Prove = "in doubt") -> Payload:
    """The delivery's bytes, with the size that was delivered. Who sends what was not proved here has to prove it on the
    way. `delivery` has its `arrival` and `place`. Raises NotHere."""
    faults = []
    for place, find in _PLACES:
        payload, fault = _looked(delivery, place, find, prove)
        if payload is not None:
            return payload
        faults += [fault] if fault else []
    raise _not_here(delivery, faults)


def is_as_delivered(delivery: Delivery) -> bool | None:
    """Whether the file at its destination has the bytes that were delivered; one that has not is noted as altered.
    None: this machine cannot tell, or it would have to read more than PROVED_FIRST_BYTES."""
    try:
        descriptor = _at_destination(delivery)
        if descriptor is None:
            return None
        payload = Payload(delivery, descriptor, "destination")
        if payload.size_bytes > PROVED_FIRST_BYTES and proving.known(payload.status) is None:
            return None
        is_whole = _fits(payload, "always")
    except (DropslotError, OSError):
        return None
    if not is_whole:
        _altered(payload)
    return is_whole


def _looked(
    delivery: Delivery, place: str, find: Callable[[Delivery], int | None], prove: Prove
) -> tuple[Payload | None, str]:
    try:
        descriptor = find(delivery)
    except (DropslotError, OSError) as error:
        return None, f"The {place} cannot be read now: {error}"
    if descriptor is None:
        return None, ""
    try:
        payload = Payload(delivery, descriptor, place)
        return (payload, "") if _fits(payload, prove) else (None, _altered(payload))
    except OSError as error:
        return None, f"The {place} cannot be read now: {error.strerror}"


def _fits(payload: Payload, prove: Prove) -> bool:
    delivery, seen = payload.delivery, payload.status
    if seen.st_size != delivery.size_bytes:
        return False
    known = proving.known(seen)
    is_doubtful = seen.st_size <= PROVED_FIRST_BYTES or seen.st_mtime_ns != delivery.mtime_ns
    if known is None and (prove == "always" or (prove == "in doubt" and is_doubtful)):
        known = proving.digest(payload.fd)
    return known in (None, delivery.sha256)


def _altered(payload: Payload) -> str:
    proving.note_altered(payload.delivery, payload.place)
    return f"The file at the {payload.place} is not the one that was delivered"


def _at_destination(delivery: Delivery) -> int | None:
    return open_here(delivery.place.url, delivery.stored_as)


def _in_archive(delivery: Delivery) -> int | None:
    """None also for what was made anew: the archive has other bytes."""
    arrival = delivery.arrival
    path = archived_item(arrival, delivery.source_item or delivery.item)
    if path is None or delivery.source_sha256 not in ("", delivery.sha256):
        return None
    above = os.path.dirname(arrival.archived_as)
    try:
        with Folder.trusted(above) as folder:
            return open_regular(folder, os.path.relpath(path, above))
    except FileNotFoundError:
        return None


def _fetched(delivery: Delivery) -> int | None:
    """A copy, in an unnamed file, of what lies on another machine; None if it is gone, or cannot be read there."""
    destination = for_url(delivery.place.url)
    if destination.answers_at_once or not destination.can_be_read:
        return None
    with tempfile.TemporaryFile(dir=current().data) as copy:
        try:
            for block in read(delivery.place.url, delivery.stored_as):
                copy.write(block)
        except FileNotFoundError:
            return None
        copy.flush()
        return os.dup(copy.fileno())


_PLACES = (("destination", _at_destination), ("archive", _in_archive), ("server", _fetched))


def _not_here(delivery: Delivery, faults: list[str]) -> NotHere:
    lies = f"{delivery.place.url.rstrip('/')}/{delivery.stored_as}"
    return NotHere(
        ". ".join(faults) or "The portal has no copy of this file",
        where=f"It was delivered to {escape(lies)}, with SHA-256 {delivery.sha256}",
        next_step="Fetch it from there, or ask the people who run this portal",
    )


def blocks(payload: Payload, first: int, after: int) -> Iterator[bytes]:
    """The bytes from `first` up to but not `after`, by blocks. Raises OSError if the file ends before."""
    at = first
    while at < after:
        block = os.pread(payload.fd, min(proving.BLOCK_BYTES, after - at), at)
        if not block:
            raise OSError(f"the file of delivery {payload.delivery.pk} became shorter while it was read")
        at += len(block)
        yield block
