"""Rotated logs that were compressed."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING

from dropslot.acknowledgments.logs.log_sources import LogFile, LogUnready
from dropslot.core.names import escape

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER = 256 << 10
_SKIP = 1 << 20
# Bytes this near to the beginning are unpacked separately, so that reading the first bytes does not lose the
# position.
_NEAR = 4096


class Unzipped(LogFile):
    """The content of a gzip file. Going forward is cheap; going back starts from the beginning. It takes no memory
    until something is read."""

    def __init__(self, file: LogFile, name: str) -> None:
        self._file, self._name = file, name
        self._stream: gzip.GzipFile | None = None

    def size(self) -> None:
        return None

    def read(self, offset: int, length: int) -> bytes:
        try:
            if offset + length <= _NEAR:
                with self._begun(_NEAR) as stream:
                    return stream.read(offset + length)[offset:]
            return self._from(offset).read(length)
        except (EOFError, OSError, zlib.error) as error:
            raise LogUnready(
                f"The rotated log {escape(self._name)} cannot be unpacked: {escape(str(error))}",
                where="What was read before is recorded; reading is retried from there",
                next_step="If it stays damaged, move it out of the log's folder",
            ) from error

    def close(self) -> None:
        self._stream = None
        self._file.close()

    def _from(self, offset: int) -> gzip.GzipFile:
        if self._stream is None or offset < self._stream.tell():
            self._stream = self._begun(_BUFFER)
        while (left := offset - self._stream.tell()) > 0:
            if not self._stream.read(min(left, _SKIP)):
                break
        return self._stream

    def _begun(self, buffer: int) -> gzip.GzipFile:
        return gzip.GzipFile(fileobj=io.BufferedReader(_Raw(self._file), buffer))


class _Raw(io.RawIOBase):
    """A log file with the interface that gzip needs."""

    def __init__(self, file: LogFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._file.read(self._at, len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
