"""Reads every row of every table again, from both databases, and compares all values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from dropslot.arrivals.moving.copy_tables import COPY, EMPTY_IT, SOURCE, Say
from dropslot.arrivals.moving.database_tables import Row, Table
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape


class Differs(DropslotError):
    """The copy is not equal to the source."""

    code = "differs"


@dataclass(frozen=True, slots=True)
class Compared:
    """A table that is the same in both: its rows, and the SHA-256 over all values in the order of the source's keys."""

    table: str
    rows: int
    sha256: str


def compare(tables: Sequence[Table], say: Say) -> list[Compared]:
    """Raises Differs, which names the first row that is not the same."""
    return [_compare(table, say) for table in tables]


def _compare(table: Table, say: Say) -> Compared:
    ours, theirs, rows = sha256(), sha256(), 0
    for page in table.pages(SOURCE):
        copied = table.rows(COPY, list(page))
        for key, row in page.items():
            mine, its = _text(table, row), _text(table, copied.get(key))
            if mine != its:
                raise _differs(f"The row {escape(str(key))} of {table.name} is not the same in the copy")
            ours.update(mine)
            theirs.update(its)
        rows += len(page)
        say(table.name, rows)
    if (found := table.count(COPY)) != rows or ours.digest() != theirs.digest():
        raise _differs(f"{table.name} has {rows:,} rows, and {found:,} in the copy")
    return Compared(table.name, rows, ours.hexdigest())


def _text(table: Table, row: Row | None) -> bytes:
    return b"" if row is None else repr(table.plain(row)).encode("utf-8", "surrogatepass") + b"\n"


def _differs(what: str) -> Differs:
    return Differs(
        what,
        where="The source was not changed. The copy must not be used",
        next_step=EMPTY_IT,
    )
