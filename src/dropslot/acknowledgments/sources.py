"""Where a log lies: its folder's names, and bytes from an offset; on this machine here, on others in `remote`."""

from __future__ import annotations

import gzip
import io
import os
import stat
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from typing_extensions import Buffer

REMOTE = "sftp://"
_SKIP = 1 << 20


class LogUnready(DropslotError):
    """A log cannot be read now. What was read of it before is recorded, and nothing of it is read twice."""

    code = "log-unready"
    retryable = True


class LogFile(ABC):
    """One open file, for reading from any offset."""

    @abstractmethod
    def size(self) -> int | None:
        """How many bytes there are now; None where only reading tells (a compressed file)."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Source(ABC):
    """The folder of one log. Its methods raise LogUnready, or FileNotFoundError for a name that is not there."""

    name: str  # of the log itself

    @abstractmethod
    def names(self) -> list[str]:
        """The names in the folder."""

    @abstractmethod
    def open(self, name: str) -> LogFile:
        """The file as it is: `opened` also looks into compressed ones."""

    def close(self) -> None:
        """Let go of connections, where there are any."""
        return

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def opened(source: Source, name: str) -> LogFile:
    """The log's own bytes, whether it lies there as it is or compressed."""
    file = source.open(name)
    return Unzipped(file, name) if name.endswith(".gz") else file


def source_of(log: str, options: dict[str, Any]) -> Source:
    """Where `log` (a path or an sftp address) lies; `options` are those of remote ones: key, known_hosts."""
    if log.startswith(REMOTE):
        from dropslot.acknowledgments.remote import RemoteFolder

        return RemoteFolder(log, **options)
    return LocalFolder(log)


class LocalFolder(Source):
    """A folder of this machine."""

    def __init__(self, path: str) -> None:
        self._folder, self.name = os.path.split(path)

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except OSError as error:
            raise unready(self._folder, error) from error

    def open(self, name: str) -> LogFile:
        path = os.path.join(self._folder, name)
        try:
            # Without waiting, should somebody have put a named pipe there.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unready(path, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise LogUnready(f"The log {escape(path)} is no file", next_step="Correct `log` in config.yaml")
        return _LocalFile(descriptor, path)


class _LocalFile(LogFile):
    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor, self._path = descriptor, path

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise unready(self._path, error) from error

    def close(self) -> None:
        os.close(self._descriptor)


class Unzipped(LogFile):
    """A gzip file as what it holds. Going forward is cheap; going back begins anew."""

    def __init__(self, file: LogFile, name: str) -> None:
        self._file, self._name = file, name
        self._begin()

    def size(self) -> None:
        return None

    def read(self, offset: int, length: int) -> bytes:
        try:
            if offset < self._stream.tell():
                self._begin()
            while (left := offset - self._stream.tell()) > 0:
                if not self._stream.read(min(left, _SKIP)):
                    return b""
            return self._stream.read(length)
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise LogUnready(
                f"The rotated log {escape(self._name)} cannot be unpacked: {escape(str(error))}",
                where="What was read of the log before is recorded; it is tried again from there",
                next_step="If it stays damaged, move it out of the log's folder",
            ) from error

    def close(self) -> None:
        with suppress(OSError):
            self._stream.close()
        self._file.close()

    def _begin(self) -> None:
        self._stream = gzip.GzipFile(fileobj=io.BufferedReader(_Raw(self._file), _SKIP))


class _Raw(io.RawIOBase):
    """A log file as gzip wants it."""

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


def unready(path: str, error: OSError) -> LogUnready:
    """The error for a log that the system refuses."""
    return LogUnready(
        f"The log {escape(path)} cannot be read: {error.strerror or escape(str(error))}",
        where="What was read of it before is recorded; reading goes on from there",
        next_step="Let the service's account read it (Debian: `adduser ACCOUNT adm`), or correct `log` in config.yaml",
    )


def vanished(path: str) -> LogUnready:
    """The error for a log that is not there, under any of its names."""
    return LogUnready(
        f"The log {escape(path)} does not exist",
        where="What was read of it before is recorded; when it is there again, reading goes on",
        next_step="Correct `log` in config.yaml, or see why the server writes none",
    )
