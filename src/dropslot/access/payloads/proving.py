"""Proves that a file has the bytes that were delivered, and remembers it for as long as the file does not change."""

from __future__ import annotations

import os
import threading
import time
from hashlib import sha256
from typing import NamedTuple

import structlog

from dropslot.access.visit_trail import trail
from dropslot.arrivals.models import Delivery
from dropslot.audit.event_payloads import Files
from dropslot.audit.kinds import Kind
from dropslot.core.context import kept

log = structlog.get_logger()
BLOCK_BYTES = 1024 * 1024
SETTLED_NS = 2_000_000_000  # of two writes within the same tick of a file system's clock, ctime shows one
_REMEMBERED = 20_000


class _Seen(NamedTuple):
    """A file as it is now. Whoever writes to it changes its ctime, which nobody can set back."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


class _Digests:
    """SHA-256 of files that were read as a whole; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[_Seen, str] = {}

    def get(self, seen: _Seen) -> str | None:
        return self._known.get(seen)

    def put(self, seen: _Seen, digest: str) -> None:
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[seen] = digest


def _seen(status: os.stat_result) -> _Seen:
    return _Seen(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def known(status: os.stat_result) -> str | None:
    """The SHA-256 of a file that was read before and is unchanged since."""
    return kept(_Digests).get(_seen(status))


def digest(fd: int) -> str:
    """The SHA-256 of an open file, read from its beginning. Raises OSError."""
    before, hasher, at = os.fstat(fd), sha256(), 0
    while block := os.pread(fd, BLOCK_BYTES, at):
        hasher.update(block)
        at += len(block)
    remember(fd, before, hasher.hexdigest())
    return hasher.hexdigest()


def remember(fd: int, before: os.stat_result, digest: str) -> None:
    """Keep the SHA-256 that was taken over all of a file, unless it changed meanwhile. `before`: its status then."""
    if is_unchanged(fd, before) and time.time_ns() - before.st_ctime_ns > SETTLED_NS:
        kept(_Digests).put(_seen(before), digest)


def is_unchanged(fd: int, before: os.stat_result) -> bool:
    """Whether nobody has touched an open file since it had this status."""
    return _seen(before) == _seen(os.fstat(fd))


def note_altered(delivery: Delivery, place: str) -> None:
    """An alarm and an event: what lies there is not what was delivered. Raises OSError if it cannot be kept."""
    log.error(
        "A delivered file is not as it was delivered; nobody gets it from the portal",
        action="payload_altered",
        arrival=delivery.arrival_id,
        delivery=delivery.pk,
        place=place,
    )
    file = {"stored_as": delivery.stored_as, "sha256": delivery.sha256, "found_at": place}
    data: Files = {"destination": delivery.place.url, "count": 1, "files": [file]}
    trail().note(Kind.ALTERED, delivery.arrival_id, data)
