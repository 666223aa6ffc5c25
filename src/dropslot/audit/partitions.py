"""Partitions of the tables that only grow, on PostgreSQL: what is recorded from now on goes into a new one, and older
ones can be put on slower storage. Each is guarded like the whole table.

The first time a table becomes its own first partition; no row is copied. Partitions are ranges of keys, which grow with
time.
"""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

from django.db import OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper

from dropslot.audit import triggers
from dropslot.core.errors import DropslotError, Unsupported

# Less than the second after which PostgreSQL looks for a deadlock: then it is never a delivery that has to give way.
_LOCK_MILLISECONDS = 500
_PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
_LOCKED = "55P03"
_ID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ULIDs


class Partition(NamedTuple):
    """One that was begun. `begins_at` is the first key that it may hold."""

    table: str
    name: str
    begins_at: str


def begin(*, using: str = "default", patience_seconds: float = PATIENCE_SECONDS) -> list[Partition]:
    """Begin a new partition of each table that got rows since its newest one was begun, while others append: these wait
    for as long as the newest partition is read once.

    All in one transaction: after a crash nothing has changed. Raises Unsupported, and DropslotError if somebody holds a
    table for too long.
    """
    if (vendor := connections[using].vendor) != "postgresql":
        raise Unsupported(
            f"Only PostgreSQL has partitions, and this database is {vendor}",
            where="Nothing was changed",
            next_step="Move the records first: dropslot migrate_data --to postgresql://…",
        )
    end = time.monotonic() + patience_seconds
    while True:
        try:
            return _begin_all(using)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != _LOCKED:
                raise
            if time.monotonic() > end:
                raise _held() from error
        time.sleep(_PAUSE_SECONDS)


def _held() -> DropslotError:
    return DropslotError(
        "Somebody holds a table of the audit trail for long, perhaps a backup (pg_dump)",
        where="Nothing was changed",
        next_step="Run it again when that has ended; `SELECT * FROM pg_stat_activity` in psql shows who it is",
    )


def _begin_all(using: str) -> list[Partition]:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
        cursor.execute(
            f"LOCK TABLE {', '.join(table for table, _ in triggers.GUARDED)} IN ACCESS EXCLUSIVE MODE"
        )
        begun = [one for table, key in triggers.GUARDED if (one := _begin(cursor, table, key))]
        if missing := triggers.missing(connections[using]):
            raise DropslotError(
                f"These guards are missing: {', '.join(missing)}",
                where="Nothing was changed",
                next_step="Run `dropslot verify`, and update PostgreSQL to the newest release of its version",
            )
        return begun


def _begin(cursor: CursorWrapper, table: str, key: str) -> Partition | None:
    owner = _one(cursor, f"SELECT relowner::regrole::text FROM pg_class WHERE oid = '{table}'::regclass")
    cursor.execute(f"SET LOCAL ROLE {owner}")  # what is made belongs to it
    newest = _one(cursor, f"SELECT max({key}) FROM {table}")
    if newest is None:
        return None
    if _one(cursor, f"SELECT relkind = 'r' FROM pg_class WHERE oid = '{table}'::regclass"):
        first = f"{table}_1"
        _make_partitioned(cursor, table, key, first)
        return _close_and_begin(cursor, table, first, "MINVALUE", newest)
    opened, lowest = _opened(cursor, table)
    if not _one(cursor, f"SELECT EXISTS (SELECT FROM {opened})"):
        return None
    cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {opened}")
    return _close_and_begin(cursor, table, opened, lowest, newest)


def _one(cursor: CursorWrapper, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


def _make_partitioned(cursor: CursorWrapper, table: str, key: str, first: str) -> None:
    """An empty, partitioned and guarded table in place of this one, which becomes `first`, of nothing as yet."""
    cursor.execute(
        "SELECT indexrelid::regclass::text, indisprimary, pg_get_indexdef(indexrelid)"
        f" FROM pg_index WHERE indrelid = '{table}'::regclass"
    )
    indexes = cursor.fetchall()
    cursor.execute(f"ALTER TABLE {table} RENAME TO {first}")
    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {first}")  # it gets that of the new table
    like = f"LIKE {first} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
    cursor.execute(f"CREATE TABLE {table} ({like}) PARTITION BY RANGE ({key})")
    for index, is_primary, definition in indexes:
        cursor.execute(f"ALTER INDEX {index} RENAME TO {index}_1")
        primary = f"ALTER TABLE {table} ADD CONSTRAINT {index} PRIMARY KEY ({key})"
        cursor.execute(primary if is_primary else definition)
    _grant_alike(cursor, first, table)
    for statement in (*triggers.guarding(table), *triggers.guarding_part(table, table)):
        cursor.execute(statement, None)


def _grant_alike(cursor: CursorWrapper, first: str, table: str) -> None:
    """Other accounts may do with the new table what they may do with the old one."""
    cursor.execute(
        "SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END"
        f" FROM pg_class, aclexplode(relacl) WHERE oid = '{first}'::regclass AND grantee <> relowner"
    )
    for right, account in cursor.fetchall():
        cursor.execute(f"GRANT {right} ON {table} TO {account}")


def _opened(cursor: CursorWrapper, table: str) -> tuple[str, str]:
    """The partition that takes what is recorded now, and where it begins, in PostgreSQL's spelling."""
    cursor.execute(
        "SELECT inhrelid::regclass::text, pg_get_expr(relpartbound, pg_class.oid)"
        f" FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = '{table}'::regclass"
    )
    for name, bounds in cursor.fetchall():
        if found := re.fullmatch(r"FOR VALUES FROM \((.+)\) TO \(MAXVALUE\)", bounds):
            return name, found[1]
    raise DropslotError(
        f"No partition of {table} accepts all future rows; dropslot did not make these partitions",
        where="Nothing was changed",
        next_step="Add partitions by the means that made them",
    )


def _close_and_begin(
    cursor: CursorWrapper, table: str, opened: str, lowest: str, newest: int | str
) -> Partition:
    """Let a partition that belongs to nothing now end after the newest key, and another one begin there."""
    bound = str(newest + 1) if isinstance(newest, int) else _next_id(newest)
    name = f"{table}_{int(opened.rpartition('_')[2]) + 1}"
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {opened} FOR VALUES FROM ({lowest}) TO ('{bound}')")
    cursor.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{bound}') TO (MAXVALUE)")
    for statement in triggers.guarding_part(table, name):
        cursor.execute(statement)
    return Partition(table, name, bound)


def _next_id(id: str) -> str:
    """The ULID after this one."""
    kept = id.rstrip(_ID_DIGITS[-1])
    last = _ID_DIGITS[_ID_DIGITS.index(kept[-1]) + 1]
    return f"{kept[:-1]}{last}".ljust(len(id), _ID_DIGITS[0])
