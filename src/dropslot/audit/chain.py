"""Appending to the chain of events: one writer at a time, each hash over the one before.

    hash(n) = SHA-256(hash(n-1) as 64 hex digits + canonical JSON of {"arrival","at","data","kind","seq"})

All of it UTF-8. `seq` counts 1, 2, 3, … without gaps. Before the first event stands GENESIS: seq 0, 64 zeros.

One order of locks, so that two transactions never wait for each other: **rows first, the chain last.**
Change the arrival's own rows, then call `append` once, with all entries, then commit; the lock is held only
that long. On SQLite the transaction holds the database's only write lock anyway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.transaction import TransactionManagementError

from dropslot.audit import locks
from dropslot.audit.canonical import canonical, entry_text, text_of
from dropslot.audit.models import Event
from dropslot.core.errors import Unsupported

CHANNEL = "dropslot_events"  # of PostgreSQL's notifications
_COLUMNS = ("seq", "at", "kind", "arrival", "data", "hash")
_LONGEST_KIND = 40
_LONGEST_ARRIVAL = 26


class Head(NamedTuple):
    """The last event of a chain: anyone who keeps it elsewhere can prove that nothing before it was changed."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


GENESIS = Head(0, "0" * 64)
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """What to record. `kind`: 1 to 40 characters; `arrival`: an id or empty; `data`: whatever JSON holds."""

    kind: str
    arrival: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.kind or len(self.kind) > _LONGEST_KIND or len(self.arrival) > _LONGEST_ARRIVAL:
            raise ValueError(f"an event needs a kind of 1 to 40 characters and an id of at most 26: {self!r}")


def append(entries: Sequence[Entry], *, using: str = "default") -> Head:
    """Record the entries, in order, in the caller's transaction on database `using`; returns the new head.

    It counts only if that transaction commits. Raises TransactionManagementError outside of one; waits for another
    writer as long as the database's own time-out says, then raises its OperationalError (try again).
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise TransactionManagementError("audit.chain.append works only inside transaction.atomic()")
    with connection.cursor() as cursor:
        if not entries:
            return _read_head(cursor)  # nothing to order, so nobody has to wait
        _become_only_writer(connection, cursor, {text_of(entry.kind) for entry in entries})
        rows = _linked(_read_head(cursor), entries, timestamp(datetime.now(UTC)))
        cursor.executemany(_INSERT, rows)  # a tenth of the time of bulk_create
    return Head(rows[-1][0], rows[-1][5])


def become_only_writer(*, using: str = "default") -> None:
    """Take the chain's lock before the end of a transaction, for decisions that only one process may make at a time.

    Until that transaction ends all other writers wait, so nothing that they hold may be waited for after it.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        _become_only_writer(connection, cursor)


def head(*, using: str = "default") -> Head:
    """The last event that this connection can see, or GENESIS."""
    with connections[using].cursor() as cursor:
        return _read_head(cursor)


def head_from(text: str) -> Head:
    """A head in its written form, `SEQ:HASH`. Raises ValueError."""
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected SEQ:HASH, a number and 64 hex digits, not {text!r}")
    return Head(int(match[1]), match[2].lower())


def timestamp(moment: datetime) -> str:
    """A moment as events hold it: UTC, microseconds, `Z`; 27 characters, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def hash_of(previous: str, seq: int, at: str, kind: str, arrival: str, data: str) -> str:
    """The hash of one event from its stored parts and the hash of the event before it."""
    return sha256((previous + entry_text(seq, at, kind, arrival, data)).encode("utf-8")).hexdigest()


_TABLE = Event._meta.db_table
_INSERT = f"INSERT INTO {_TABLE} ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"


def _read_head(cursor: CursorWrapper) -> Head:
    cursor.execute(f"SELECT seq, hash FROM {_TABLE} ORDER BY seq DESC LIMIT 1")
    row = cursor.fetchone()
    return Head(*row) if row else GENESIS


def _linked(before: Head, entries: Sequence[Entry], at: str) -> list[tuple[int, str, str, str, str, str]]:
    rows, previous = [], before.hash
    for seq, entry in enumerate(entries, before.seq + 1):
        parts = (seq, at, text_of(entry.kind), text_of(entry.arrival), canonical(entry.data))
        previous = hash_of(previous, *parts)
        rows.append((*parts, previous))
    return rows


def _become_only_writer(
    connection: BaseDatabaseWrapper, cursor: CursorWrapper, kinds: Collection[str] = ()
) -> None:
    """On PostgreSQL, who listens hears of the kinds at the commit: in the same statement, which costs nothing more."""
    # Before the head is read: two writers who read the same head would both hold the next number.
    if connection.vendor == "postgresql":
        lock, notice = "SELECT pg_advisory_xact_lock(%s)", ", pg_notify(%s, %s)"
        told = [CHANNEL, ",".join(sorted(kinds))] if kinds else []
        cursor.execute(f"{lock}{notice}" if told else lock, [locks.CHAIN, *told])
    elif connection.vendor == "sqlite":
        # Our settings begin transactions IMMEDIATE, so this changes nothing there. In a project that begins them
        # DEFERRED, a write that changes no row waits for the write lock before the head is read.
        cursor.execute(f"UPDATE {_TABLE} SET seq = seq WHERE 0")
    else:
        raise Unsupported(
            f"The audit trail needs SQLite or PostgreSQL, not {connection.vendor}",
            next_step=f"Point the database alias {connection.alias!r} at one of them",
        )
