"""Where the index is kept: for each listing a table of documents, each with a set of numbers.

PostgreSQL keeps a set as an array with a GIN index, SQLite as a row of FTS5 without its text. A document is a range of
rows; the greater its key, the newer its rows. Nothing is ever taken out of a set: what a row once had is compared
again when it is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from dropslot.core.context import kept

# All clauses must be met, each by one of its alternatives: a set of numbers that the document has.
Clause = Sequence[Sequence[int]]


class Document(NamedTuple):
    """The rows from `first` to `last`, and what they have."""

    key: int
    first: Any
    last: Any
    numbers: Iterable[int]


class Range(NamedTuple):
    """The rows of a document that was found."""

    key: int
    first: Any
    last: Any


class _There(dict[tuple[str, str], bool]):
    """Which tables of which database this process has found."""


@dataclass(frozen=True)
class Documents:
    """One table; `of` is the SQL type of the rows' primary keys."""

    name: str
    of: str

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        """For a migration. A SQLite without FTS5 gets no index: listings work without, slower."""
        columns = f"key bigint PRIMARY KEY, first {self.of} NOT NULL, last {self.of} NOT NULL"
        if editor.connection.vendor == "postgresql":
            editor.execute(f"CREATE TABLE {self.name} ({columns}, numbers integer[] NOT NULL)")
            # Numbers without order: compressing them takes time and saves nothing.
            editor.execute(f"ALTER TABLE {self.name} ALTER COLUMN numbers SET STORAGE EXTERNAL")
            editor.execute(f"CREATE INDEX {self.name}_numbers ON {self.name} USING gin (numbers)")
        elif _has_fts5(editor):
            columns = columns.replace("key bigint", "key integer")
            editor.execute(f"CREATE TABLE {self.name} ({columns})")
            editor.execute(
                f"CREATE VIRTUAL TABLE {self.name}_numbers USING"
                " fts5(numbers, content='', detail=none, columnsize=0, tokenize='ascii')"
            )

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        """To reverse the migration."""
        if editor.connection.vendor == "sqlite":
            editor.execute(f"DROP TABLE IF EXISTS {self.name}_numbers")
        editor.execute(f"DROP TABLE IF EXISTS {self.name}")

    def is_there(self) -> bool:
        """Whether this database has the index."""
        there, this = kept(_There), (connection.alias, self.name)
        if this not in there:
            there[this] = self.name in connection.introspection.table_names()
        return there[this]

    def put(self, documents: Sequence[Document]) -> None:
        """Add documents, or add to the sets of those that are there; in the caller's transaction."""
        if not documents:
            return
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                rows = [(key, first, last, list(numbers)) for key, first, last, numbers in documents]
                cursor.executemany(_PUT_POSTGRESQL.format(name=self.name), rows)
                return
            cursor.executemany(_PUT_SQLITE.format(name=self.name), [each[:3] for each in documents])
            texts = [(each.key, " ".join(map(_word, sorted(set(each.numbers))))) for each in documents]
            cursor.executemany(f"INSERT INTO {self.name}_numbers (rowid, numbers) VALUES (%s, %s)", texts)

    def find(self, clauses: Sequence[Clause], below: int, at_most: int) -> list[Range]:
        """The newest documents with keys below `below` that meet all clauses."""
        if connection.vendor == "postgresql":
            return self._find_postgresql(clauses, below, at_most)
        return _rows(*self._sqlite(clauses, below, at_most))

    def _find_postgresql(self, clauses: Sequence[Clause], below: int, at_most: int) -> list[Range]:
        """What is frequent is found among the newest documents. Else the GIN index has to be used, and the planner has
        to be told: it does not know that sets are stored apart from their rows and are slow to read."""
        wheres, values = _postgresql(clauses)
        if at_most < _NEAR:
            near = f"(SELECT * FROM {self.name} WHERE key < %s ORDER BY key DESC LIMIT {_NEAR}) AS near"
            where = " AND ".join(f"({each})" for each in wheres)
            sql = f"SELECT key, first, last FROM {near} WHERE {where} ORDER BY key DESC LIMIT %s"
            found = _rows(sql, [below, *itertools.chain(*values), at_most])
            if len(found) == at_most:
                return found
        # A sum: the index of the keys cannot be used.
        parts = [
            f"SELECT key, first, last FROM {self.name} WHERE ({each}) AND key + 0 < %s" for each in wheres
        ]
        sql = f"{' INTERSECT '.join(parts)} ORDER BY key DESC LIMIT %s"
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PLAN, ["off", "off"])
            found = _rows(sql, [*itertools.chain(*([*each, below] for each in values)), at_most])
            cursor.execute(_PLAN, ["on", "on"])
        return found

    def highest(self) -> int:
        """The greatest key; -1 without any."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT max(key) FROM {self.name}")
            found = cursor.fetchone()[0]
        return -1 if found is None else int(found)

    def _sqlite(self, clauses: Sequence[Clause], below: int, at_most: int) -> tuple[str, list[Any]]:
        match = " AND ".join(f"({' OR '.join(f'({_all_of(one)})' for one in clause)})" for clause in clauses)
        found = (
            f"SELECT rowid FROM {self.name}_numbers WHERE {self.name}_numbers MATCH %s AND rowid < %s"
            " ORDER BY rowid DESC LIMIT %s"
        )
        sql = f"SELECT key, first, last FROM {self.name} WHERE key IN ({found}) ORDER BY key DESC"
        return sql, [match, below, at_most]


_NEAR = 64
_WIDE = 8
_PLAN = "SELECT set_config('enable_seqscan', %s, true), set_config('enable_indexscan', %s, true)"


def _rows(sql: str, values: list[Any]) -> list[Range]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [Range(*row) for row in cursor.fetchall()]


def _postgresql(clauses: Sequence[Clause]) -> tuple[list[str], list[list[list[int]]]]:
    """Conditions, each of which the GIN index answers alone, and their values. Another condition beside them would be
    compared with the sets themselves."""
    wide = [clause for clause in clauses if len(clause) > _WIDE and all(len(one) == 1 for one in clause)]
    others = [clause for clause in clauses if clause not in wide]
    found = [("numbers && %s::int[]", [[one[0] for one in clause]]) for clause in wide]
    if others:
        every = [[*itertools.chain(*one)] for one in itertools.product(*others)]
        found.append((" OR ".join(["numbers @> %s::int[]"] * len(every)), every))
    return [where for where, _ in found], [values for _, values in found]


_PUT_SQLITE = (
    "INSERT INTO {name} (key, first, last) VALUES (%s, %s, %s) ON CONFLICT (key) DO UPDATE"
    " SET first = min(first, excluded.first), last = max(last, excluded.last)"
)
_PUT_POSTGRESQL = (
    "INSERT INTO {name} AS had (key, first, last, numbers) VALUES (%s, %s, %s, %s::int[]) ON CONFLICT (key) DO UPDATE"
    " SET first = least(had.first, excluded.first), last = greatest(had.last, excluded.last),"
    " numbers = ARRAY(SELECT DISTINCT unnest(had.numbers || excluded.numbers))"
)


def _word(value: int) -> str:
    return f"{value + 2**31:x}"


def _all_of(numbers: Sequence[int]) -> str:
    return " AND ".join(map(_word, numbers))


def _has_fts5(editor: BaseDatabaseSchemaEditor) -> bool:
    try:
        with transaction.atomic(using=editor.connection.alias), editor.connection.cursor() as cursor:
            cursor.execute("CREATE VIRTUAL TABLE temp.dropslot_probe USING fts5(x)")
            cursor.execute("DROP TABLE temp.dropslot_probe")
    except DatabaseError:
        return False
    return True


ARRIVALS = Documents("dropslot_search_arrival", "varchar(26)")
DELIVERIES = Documents("dropslot_search_delivery", "bigint")
EVENTS = Documents("dropslot_search_event", "bigint")
ALL = (ARRIVALS, DELIVERIES, EVENTS)
