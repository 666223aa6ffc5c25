"""Opens items for checks, only on this machine.

A check is a statement about a SHA-256, so nothing is read back from a server for it. If an item is staged on a local
disk, its staged bytes are read. Otherwise the source is read and hashed at the same time. If its SHA-256 differs from
the staged one, the result of the check does not count.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from weakref import WeakSet

from dropslot.contents.base import Source, Staged
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.regular_files import open_at_source
from dropslot.files.syscalls import write_all

PIECE_BYTES = 1024 * 1024
BUFFER_BYTES = 256 * 1024


class LocalBytes:
    """Opens the staged items of one arrival. Use results only after leaving the block: it raises SourceChanged if the
    bytes that were read are not the staged ones, and the reads' SourceUnready and StorageFault.

    `staged_here` gives the staged bytes of an item if they are on a local disk. `scratch` is the service's own folder:
    items that are read more than once are copied into an unnamed file there.
    """

    def __init__(self, source: Source, staged_here: Callable[[str], BinaryIO | None], scratch: Path) -> None:
        self._source, self._staged_here, self._scratch = source, staged_here, scratch
        self._opened: WeakSet[_Proved] = WeakSet()
        self._found: list[DropslotError] = []

    def open(self, item: Staged) -> BinaryIO:
        """The bytes of one item, at their beginning."""
        if (staged := self._staged_here(item.path)) is not None:
            return staged
        with self._source.open() as folder:
            descriptor = open_at_source(folder, item.path)
        proved = _Proved(descriptor, item, self._scratch, self._found.append)
        self._opened.add(proved)
        return io.BufferedReader(proved, BUFFER_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proved in list(self._opened):  # those that a check has not closed
            proved.close()
        if self._found:
            raise self._found[0]


class _Proved(io.RawIOBase):
    """One item at its source. It is hashed once from its beginning, at the latest on close. If it differs from the
    staged item, `found` is called with the error: an exception on close could get lost in the garbage collector."""

    def __init__(
        self, descriptor: int, item: Staged, scratch: Path, found: Callable[[DropslotError], None]
    ) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._item, self._scratch, self._found = item, scratch, found
        self._at = 0
        self._hash, self._hashed = hashlib.sha256(usedforsecurity=False), 0
        self._copy: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._item.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Raises SourceChanged, SourceUnready and StorageFault; these do not count as faults of the check."""
        view = memoryview(buffer).cast("B")
        if self._at < self._hashed or self._copy is not None:
            count = self._read_again(view)
        else:
            self._hash_until(self._at)
            count = self._read(view) if self._at == self._hashed else 0
        self._at += count
        return count

    def close(self) -> None:
        """Read the rest, and compare."""
        if self.closed:
            return
        try:
            if self._copy is None:
                self._hash_until(self._item.size_bytes + 1)
                self._require(self._hash.hexdigest() == self._item.sha256)
        except DropslotError as error:
            self._found(error)
        finally:
            self._file.close()
            if self._copy is not None:
                self._copy.close()
            super().close()

    def _read(self, view: memoryview) -> int:
        """Read and hash the next bytes."""
        try:
            count = self._file.readinto(view)
        except OSError as error:
            raise faults.at_source(error, self._item.path) from error
        self._hash.update(view[:count])
        self._hashed += count
        return count

    def _read_again(self, view: memoryview) -> int:
        try:
            self._copy = self._copy or self._copied()
            return os.preadv(self._copy.fileno(), [view], self._at)
        except DropslotError as error:
            self._found(error)  # now: on close the source may look unchanged again
            raise
        except OSError as error:
            raise faults.at_destination(error, f"copying {escape(self._item.path)} for a check") from error

    def _hash_until(self, at: int) -> None:
        piece = memoryview(bytearray(min(PIECE_BYTES, max(at - self._hashed, 0))))
        while self._hashed < at and self._read(piece[: at - self._hashed]):
            pass

    def _copied(self) -> BinaryIO:
        """The whole item in a file of our own, so that reading it again gives the same bytes."""
        before = self._hash.copy().digest(), self._hashed
        self._hash, self._hashed = hashlib.sha256(usedforsecurity=False), 0
        self._file.seek(0)
        copy = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - closed with this file
        try:
            self._copy_into(copy.fileno(), before[1])
            self._require((self._hash.copy().digest(), self._hashed) == before)
            self._copy_into(copy.fileno(), self._item.size_bytes + 1)
            self._require(self._hash.hexdigest() == self._item.sha256)
        except BaseException:
            copy.close()
            raise
        return copy

    def _copy_into(self, out: int, end: int) -> None:
        piece = memoryview(bytearray(PIECE_BYTES))
        while self._hashed < end and (count := self._read(piece[: end - self._hashed])):
            write_all(out, piece[:count])

    def _require(self, is_same: bool) -> None:
        if not is_same:
            raise faults.source_changed(f"{escape(self._item.path)} changed since it was staged")
