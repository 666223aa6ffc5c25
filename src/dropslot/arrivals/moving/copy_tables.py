"""Makes the tables of the copy equal to those of the source. What an interrupted run has copied is kept, what changed
in the source since is replaced, and what the source no longer has is removed. Each page is a transaction: after a crash
the next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import DataError, IntegrityError, connections, transaction
from django.db.backends.utils import CursorWrapper

from dropslot.arrivals.moving.database_tables import Row, Table
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

SOURCE, COPY = "default", "copy"
EMPTY_IT = "Empty the other database (drop it and create it again, or move the file of SQLite away), and run this again"
_MOST_AT_ONCE = 20_000  # rows that changed
Say = Callable[[str, int], None]  # a table, and how many of its rows have been gone through


class Uncopied(DropslotError):
    """A row cannot be copied, or the copy has what cannot be changed. The source is as it was."""

    code = "uncopied"


def fill(tables: Sequence[Table], say: Say) -> None:
    """Copy what the copy lacks."""
    for table in reversed(tables):  # first what refers to others
        if table.is_in(COPY):
            _remove_gone(table)
    for table in tables:
        if begun := table.is_in(COPY):
            _replace_changed(table)
        done = 0
        for page in table.pages(SOURCE):
            there = table.rows(COPY, list(page)) if begun else {}
            _add(table, [row for key, row in page.items() if key not in there])
            done += len(page)
            say(table.name, done)


def _remove_gone(table: Table) -> None:
    for page in table.pages(COPY):
        kept = table.rows(SOURCE, list(page))
        if gone := [key for key in page if key not in kept]:
            _refuse_guarded(table, gone[0])
            _write(table, [page[key] for key in gone], _delete)


def _replace_changed(table: Table) -> None:
    changed: list[Row] = []
    for page in table.pages(SOURCE):
        there = table.rows(COPY, list(page))
        changed += [
            row for key, row in page.items() if key in there and table.plain(there[key]) != table.plain(row)
        ]
        if len(changed) > _MOST_AT_ONCE:
            _replace(table, changed)
            changed = []
    _replace(table, changed)


def _replace(table: Table, rows: Sequence[Row]) -> None:
    """In one transaction, and all are removed before they are written anew: two of them may have exchanged a name,
    which no two rows can have at the same time."""
    for row in rows:
        _refuse_guarded(table, row[0])
    with transaction.atomic(using=COPY):  # what refers to them is looked at when it ends
        if rows:
            _write(table, rows, _delete)
        _add(table, rows)


def _add(table: Table, rows: Sequence[Row]) -> None:
    if rows:
        _write(table, rows, _copy if connections[COPY].vendor == "postgresql" else _insert)


def _refuse_guarded(table: Table, key: object) -> None:
    if table.is_guarded:
        raise Uncopied(
            f"The copy has a row of {table.name} that the source does not have like this: {key}",
            where="The source was not changed. Nothing of an audit trail is ever changed or removed",
            next_step=EMPTY_IT,
        )


_Writer = Callable[[Table, Sequence[list[Any]], CursorWrapper], None]


def _write(table: Table, rows: Sequence[Row], writer: _Writer) -> None:
    copy = connections[COPY]
    try:
        with transaction.atomic(using=COPY), copy.cursor() as cursor, copy.wrap_database_errors:
            writer(table, [table.stored(row, COPY) for row in rows], cursor)
    except (DataError, IntegrityError, ValueError) as error:
        if len(rows) > 1:
            for row in rows:  # which one is it?
                _write(table, [row], writer)
        raise _uncopied(table, rows[0], error) from error


def _uncopied(table: Table, row: Row, error: Exception) -> Uncopied:
    return Uncopied(
        f"The row {escape(str(row[0]))} of {table.name} cannot be copied: {escape(str(error).strip())}",
        where="The source was not changed; the copy is incomplete, and no service can start with it",
        next_step=f"When the cause is gone, run this again: it goes on where it was. If this comes again: {EMPTY_IT}",
    )


def _copy(table: Table, rows: Sequence[list[Any]], cursor: CursorWrapper) -> None:
    columns = ", ".join(map(_quoted, table.columns))
    with cursor.copy(f"COPY {_quoted(table.name)} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert(table: Table, rows: Sequence[list[Any]], cursor: CursorWrapper) -> None:
    columns, marks = ", ".join(map(_quoted, table.columns)), ", ".join(["%s"] * len(table.columns))
    cursor.executemany(f"INSERT INTO {_quoted(table.name)} ({columns}) VALUES ({marks})", rows)


def _delete(table: Table, rows: Sequence[list[Any]], cursor: CursorWrapper) -> None:
    statement = f"DELETE FROM {_quoted(table.name)} WHERE {_quoted(table.columns[0])} = %s"
    cursor.executemany(statement, [row[:1] for row in rows])


def _quoted(name: str) -> str:
    return connections[COPY].ops.quote_name(name)
