"""The interface of every place of a log, and its errors. `local_logs`, `remote_logs` and `unzipped` implement it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

KEPT = "What was read before is recorded; reading continues from there"


class LogUnready(DropslotError):
    """A log cannot be read now. What was read before is recorded, and is not read twice."""

    code = "log-unready"
    retryable = True


class LogFile(ABC):
    """One open file, for reading from any offset. Its methods raise LogUnready."""

    @abstractmethod
    def size(self) -> int | None:
        """The present number of bytes; None if only reading shows it (a compressed file)."""

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
        """The file as it is: `open_logs.opened` also looks into compressed ones."""


def unready(path: str, error: OSError) -> LogUnready:
    """The error for a log that the system refuses."""
    return LogUnready(
        f"The log {escape(path)} cannot be read: {error.strerror or escape(str(error))}",
        where=KEPT,
        next_step="Let the service's account read it (Debian: `adduser ACCOUNT adm`), or correct `log` in config.yaml",
    )


def unlistable(folder: str, why: str) -> LogUnready:
    """The error for a folder that cannot be listed, so that rotated logs cannot be found."""
    return LogUnready(
        f"The folder {escape(folder)} of the log cannot be listed, so rotated logs cannot be found: {why}",
        where=KEPT,
        next_step="Let the service's account read the folder, too (Debian: `adduser ACCOUNT adm`)",
    )


def no_file(path: str) -> LogUnready:
    """The error for a folder, pipe or device where the log should be."""
    return LogUnready(
        f"The log {escape(path)} is not a file", where=KEPT, next_step="Correct `log` in config.yaml"
    )


def vanished(path: str) -> LogUnready:
    """The error for a log that is not there, under any of its names."""
    return LogUnready(
        f"The log {escape(path)} does not exist",
        where="What was read before is recorded; reading continues when the log exists again",
        next_step="Correct `log` in config.yaml, or find out why the server writes none",
    )
