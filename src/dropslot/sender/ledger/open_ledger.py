"""Opens the ledger. One that is damaged is moved aside, never removed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.sender.ledger.ledger_tables import FROM_1, TABLES, VERSION
from dropslot.sender.local_paths import shown_path

_BUSY_SECONDS = 30
_SUSPECT = ".suspect"
_NEXT = "Make room on this disk, or let this account write there, then send again"


class LedgerUnready(DropslotError):
    """The ledger cannot be read or written now: a full disk, no permission."""

    code = "ledger-unready"


class LedgerDamaged(DropslotError):
    """The file is not a ledger any more."""

    code = "ledger-damaged"


class LedgerNewer(DropslotError):
    """A newer dropslot wrote this ledger."""

    code = "ledger-newer"


def opened(path: Path) -> sqlite3.Connection:
    """The ledger, made when it is not there. Raises LedgerDamaged, LedgerUnready and LedgerNewer."""
    with in_words(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # NORMAL: a power cut may lose the last second of records; then these files are sent, or compared, once more.
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
    )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LedgerNewer(
            f"{shown_path(path)} was written by a newer dropslot",
            where="Nothing was sent",
            next_step="Install the newest dropslot on this computer",
        )
    if version < VERSION:
        script = FROM_1 if version else TABLES
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {VERSION}; COMMIT;")
    elif connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'known'").fetchone()[0] == 0:
        raise sqlite3.DatabaseError("its tables are missing")
    elif _suspect(path).exists():
        _examine(connection, path)


def _suspect(path: Path) -> Path:
    """There while damage was met that opening the ledger does not show."""
    return path.with_name(f"{path.name}{_SUSPECT}")


def _examine(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    _suspect(path).unlink(missing_ok=True)


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """SQLite's errors as errors of dropslot."""
    try:
        yield
    except sqlite3.OperationalError as error:  # full, locked, read-only, no permission
        raise LedgerUnready(
            f"The ledger {shown_path(path)} cannot be used: {error}",
            where="Your files are untouched, and what the server has stays there",
            next_step=_NEXT,
        ) from error
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):  # mistakes of dropslot, not of the file
        raise
    except sqlite3.DatabaseError as error:
        with contextlib.suppress(OSError):
            _suspect(path).touch()
        raise LedgerDamaged(
            f"The ledger {shown_path(path)} is damaged: {error}",
            where="Your files are untouched, and what was delivered stays delivered",
            next_step="Send again: a new ledger is made from the receipts",
        ) from error


def move_aside(path: Path) -> Path:
    """Give a damaged ledger another name; returns it."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = path.with_name(f"{path.name}.damaged-{time}")
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            beside.rename(kept.with_name(kept.name + suffix))
    path.rename(kept)
    _suspect(path).unlink(missing_ok=True)
    return kept
