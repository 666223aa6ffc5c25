"""Two senders on one PC do not send at the same time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.sender.local_paths import shown_path


class SenderBusy(DropslotError):
    """Another sender on this PC is at work: the window, a service or another command."""

    code = "sender-busy"
    retryable = True


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock. It ends with the process, however that ends. Raises SenderBusy at once."""
    # An exclusive transaction of SQLite is a lock that works alike on Windows, macOS and Linux.
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        _take(connection, path)
        yield
    finally:
        connection.close()


def _take(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise SenderBusy(
                "Another dropslot on this computer is sending now",
                where="This one sent nothing; the files are as new as before",
                next_step="Wait until the other one is done (dropslot sent shows it), then send again",
            ) from error
        raise _unusable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: sqlite3.Error) -> DropslotError:
    return DropslotError(
        f"The lock {shown_path(path)} cannot be taken: {error}",
        where="Nothing was sent",
        next_step="Make room on this disk and let this account write there; delete this file if no dropslot runs",
    )
