"""Opens items before they are staged, and proves later that the bytes that were read are the staged ones."""

from __future__ import annotations

import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self
from weakref import WeakSet

from dropslot.contents.base import Source, Staged
from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.regular_files import open_at_source

BUFFER_BYTES = 64 * 1024


class _Piece(NamedTuple):
    """The result of one read. A read at the end of an item is noted as one wanted byte that was not there."""

    at: int
    wanted_bytes: int
    sha256: bytes


class SourceBytes:
    """Opens the items of one arrival at its current place. Every read is noted; `prove` compares it with the staged
    bytes.

    Leave the block after reading: it closes open items.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[str, list[_Piece]] = defaultdict(list)
        self._opened: WeakSet[_Noted] = WeakSet()

    def open(self, path: str) -> BinaryIO:
        """The bytes of an item, by its path as listed. This and reads of the result raise SourceChanged, SourceUnready
        and StorageFault."""
        with self._source.open() as folder:
            descriptor = open_at_source(folder, path)
        noted = _Noted(descriptor, path, self._read[path])
        self._opened.add(noted)
        return io.BufferedReader(noted, BUFFER_BYTES)

    def prove(self, staged: Iterable[Staged], open_staged: Callable[[Staged], BinaryIO]) -> None:
        """Raise SourceChanged unless every read gives the same result from the staged bytes."""
        for item in staged if self._read else ():
            if item.path in self._read:
                with open_staged(item) as stream:
                    _compare(item.path, self._read[item.path], stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for noted in list(self._opened):
            noted.close()


def _compare(path: str, pieces: Iterable[_Piece], stream: BinaryIO) -> None:
    for piece in sorted(set(pieces)):
        stream.seek(piece.at)
        if _sha256(stream.read(piece.wanted_bytes)) != piece.sha256:
            raise faults.source_changed(
                f"{escape(path)} changed after it was read for the fields of its path"
            )


class _Noted(io.RawIOBase):
    def __init__(self, descriptor: int, path: str, pieces: list[_Piece]) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._path, self._pieces = path, pieces
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        # Not noted: staging compares the size with the listing.
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: os.fstat(self._file.fileno()).st_size}
        self._at = max(0, base[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if not view:
            return 0
        try:
            count = os.preadv(self._file.fileno(), [view], self._at)
        except OSError as error:
            raise faults.at_source(error, self._path) from error
        self._pieces.append(_Piece(self._at, max(count, 1), _sha256(view[:count])))
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _sha256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data, usedforsecurity=False).digest()
