"""The bytes of a data set, read piece by piece: as they are stored, or inflated. Memory does not grow with them."""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import Protocol

BEGINNING_BYTES = 16 * 1024
_PIECE = 64 * 1024
_MOST_PROVED = 1 << 20
# What a bomb may unfold to: as much as the largest images have.
MOST_INFLATED = 1 << 31


class StoredBytes(Protocol):
    """`size` bytes. Reading is quickest from the beginning to the end."""

    size: int

    def read(self, at: int, count: int) -> bytes:
        """`count` bytes from there, fewer at the end."""
        ...


class OnDisk:
    """A file. Its beginning is read once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.lseek(descriptor, 0, os.SEEK_END)  # fstat is forbidden here
        self._beginning = os.pread(descriptor, BEGINNING_BYTES, 0)

    def read(self, at: int, count: int) -> bytes:
        known = self._beginning[at : at + count]  # so that `proof` speaks of these very bytes
        if len(known) == count:
            return known
        return known + os.pread(self._descriptor, count - len(known), at + len(known))

    def proof(self, reach: int) -> tuple[int, str]:
        """How many bytes of the beginning hold what was read, up to `reach`, and their SHA-256."""
        more = min(reach, _MOST_PROVED) - len(self._beginning)
        digest = hashlib.sha256(self._beginning, usedforsecurity=False)
        rest = os.pread(self._descriptor, more, len(self._beginning)) if more > 0 else b""
        digest.update(rest)
        return len(self._beginning) + len(rest), digest.hexdigest()


class Inflated:
    """What was deflated, from byte `begin` of a file (PS3.5, A.5). `fault`: why there is no more of it."""

    def __init__(self, packed: StoredBytes, begin: int) -> None:
        self._packed, self._begin = packed, begin
        self.fault = ""
        self.size = 0
        self._place, self._piece = 0, b""
        self._rewind()
        while len(piece := self._next()) and self.size < MOST_INFLATED:
            self.size += len(piece)
        if self.size >= MOST_INFLATED:
            self.fault = f"its data set inflates to more than {MOST_INFLATED >> 30} GiB"
        elif not self._inflater.eof:
            self.fault = self.fault or "its deflated data set is cut"
        self._rewind()

    def read(self, at: int, count: int) -> bytes:
        if at < self._place:
            self._rewind()
        count = min(count, self.size - at)
        if count <= 0:
            return b""
        while self._place + len(self._piece) < at + count:
            kept = self._piece[max(at - self._place, 0) :]
            self._place += len(self._piece) - len(kept)
            self._piece = kept + self._next()
        return self._piece[at - self._place : at - self._place + count]

    def _rewind(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._at, self._tail = self._begin, b""
        self._place, self._piece = 0, b""

    def _next(self) -> bytes:
        while not self._inflater.eof:
            fresh = self._tail or self._packed.read(self._at, _PIECE)
            self._at += 0 if self._tail else len(fresh)
            try:
                piece = self._inflater.decompress(fresh, _PIECE)
            except zlib.error:
                self.fault = "its deflated data set is damaged"
                return b""
            self._tail = self._inflater.unconsumed_tail
            if piece or not fresh:
                return piece
        return b""
