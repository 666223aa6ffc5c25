"""Writes the bytes of a request behind those that are there. An offset is told only once it is durable."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import NamedTuple

from dropslot.api.tus import problems
from dropslot.api.tus.bodies import Body
from dropslot.api.tus.on_disk.account_quota import Quota
from dropslot.api.tus.on_disk.places import Part
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.tus_headers import Checksum
from dropslot.files.syscalls import start_writeback, write_all

_WRITEBACK_BYTES = 16 * 1024 * 1024
SMALL_BYTES = 1024 * 1024  # such files of a batch are synced together when it is finished


class Received(NamedTuple):
    """The size of a file after a request. `is_broken`: the connection ended too early."""

    offset: int
    is_broken: bool


class Wanted(NamedTuple):
    """What a request is to add to a file."""

    offset: int
    checksum: Checksum | None = None
    syncs_later: bool = False  # if it is small and complete


def receive(descriptor: int, part: Part, body: Body, wanted: Wanted, quota: Quota) -> Received:
    """Append a body to a file, which is open and locked.

    Raises Problem: a wrong offset or too many bytes (nothing is written), a wrong checksum (nothing is kept), the quota
    is used up (what was written is kept). Raises OSError of the file system; what was written is kept.
    """
    size = os.fstat(descriptor).st_size
    _require_offset(size, wanted.offset)
    _require_room(part, size + (body.length or 0))
    try:
        end = _Writing(descriptor, part, size, quota).write(body, wanted.checksum)
    except BaseException:
        os.fdatasync(descriptor)
        raise
    if not (wanted.syncs_later and end == part.length and end - size < SMALL_BYTES):
        os.fdatasync(descriptor)
    return Received(end, body.is_broken)


def _require_offset(size: int, offset: int) -> None:
    if offset != size:
        raise Problem(
            409,
            f"The upload has {size:,} bytes; the request begins at {offset:,}",
            "Ask for the offset (HEAD), and go on there",
            headers={"Upload-Offset": str(size)},
        )


def _require_room(part: Part, end: int) -> None:
    if end > part.length:
        raise Problem(
            413,
            f"The request has more bytes than the file, which has {part.length:,}",
            "Send only the rest of the file. If the file has grown, begin the upload anew",
        )


class _Writing:
    """One body on its way into one file."""

    def __init__(self, descriptor: int, part: Part, size: int, quota: Quota) -> None:
        self._descriptor, self._part, self._quota = descriptor, part, quota
        self._begin = self._end = self._flushed = size
        os.lseek(descriptor, size, os.SEEK_SET)

    def write(self, body: Body, checksum: Checksum | None) -> int:
        """Returns the size of the file then."""
        digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        for piece in body.pieces():
            self._require_room(len(piece))
            if digest:
                digest.update(piece)
            self._append(piece)
        if (
            checksum
            and digest
            and (body.is_broken or not hmac.compare_digest(digest.digest(), checksum.value))
        ):
            self._undo()
            if not body.is_broken:
                raise Problem(
                    problems.CHECKSUM_MISMATCH,
                    f"The bytes of the request do not have the {checksum.algorithm} that it says",
                    "Nothing of them was kept: send them again",
                )
        return self._end

    def _append(self, piece: bytes) -> None:
        write_all(self._descriptor, memoryview(piece))
        self._end += len(piece)
        self._quota.received(len(piece))
        if self._end - self._flushed >= _WRITEBACK_BYTES:
            start_writeback(self._descriptor, self._flushed, self._end - self._flushed)
            self._flushed = self._end

    def _require_room(self, more: int) -> None:
        if self._end + more > self._part.length:  # only a body that does not say its length
            self._undo()
            _require_room(self._part, self._end + more)

    def _undo(self) -> None:
        os.ftruncate(self._descriptor, self._begin)
        self._end = self._begin
