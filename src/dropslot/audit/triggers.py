"""Triggers that refuse to change or remove what was recorded, on SQLite and PostgreSQL.

They stop mistakes, and accounts that may write to tables but not alter them. `verify` notices a dropped trigger, also
of one partition on PostgreSQL (`partitions`).
Django makes a SQLite table anew to alter it, which loses its triggers: a later migration of these tables ends with
`create`.
"""

from __future__ import annotations

from django.apps.registry import Apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from dropslot.core.errors import Unsupported

# Table, and its primary key.
GUARDED = (("dropslot_event", "seq"), ("dropslot_receipt", "arrival"))

_SQLITE = (
    """CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: nothing in it is changed'); END""",
    """CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: nothing in it is removed'); END""",
    # INSERT OR REPLACE removes the old row without firing a DELETE trigger.
    """CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
    WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key} OR rowid = NEW.rowid)
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: nothing in it is replaced'); END""",
)
_SQLITE_GONE = (
    "DROP TRIGGER IF EXISTS {table}_no_update",
    "DROP TRIGGER IF EXISTS {table}_no_delete",
    "DROP TRIGGER IF EXISTS {table}_no_replace",
)
_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{table} is append-only: % is refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
    # Also while a replication role is set, which switches ordinary triggers off.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only",
)
# A partition gets the trigger above from its table, and this one by itself.
_POSTGRESQL_EACH = (
    """CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {part}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
    "ALTER TABLE {part} ENABLE ALWAYS TRIGGER {table}_no_truncate",
)
_POSTGRESQL_EACH_GONE = ("DROP TRIGGER IF EXISTS {table}_no_truncate ON {part}",)
_POSTGRESQL_GONE = (
    "DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
    "DROP FUNCTION IF EXISTS {table}_refuse()",
)


def create(apps: Apps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    """Guard the tables; for RunPython. Refuses a database that dropslot does not know."""
    _run(schema_editor, 0)


def drop(apps: Apps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    """Remove the guards: to reverse the migration, and for tests that empty all tables."""
    _run(schema_editor, 1)


def _run(schema_editor: BaseDatabaseSchemaEditor, which: int) -> None:
    for table, key in GUARDED:
        for statement in _statements(schema_editor.connection, table, key)[which]:
            schema_editor.execute(statement, params=None)


def _statements(connection: BaseDatabaseWrapper, table: str, key: str) -> tuple[list[str], list[str]]:
    """Those that guard a table, and those that remove the guards."""
    if connection.vendor == "sqlite":
        guards, gone = (
            [one.format(table=table, key=key) for one in several] for several in (_SQLITE, _SQLITE_GONE)
        )
        return guards, gone
    parts = list(dict.fromkeys(part for part, _, _ in _on_postgresql(connection, table)))
    each = [one for part in parts for one in guarding_part(table, part)]
    each_gone = [one.format(table=table, part=part) for part in parts for one in _POSTGRESQL_EACH_GONE]
    return [*guarding(table), *each], [*each_gone, *(one.format(table=table) for one in _POSTGRESQL_GONE)]


def guarding(table: str) -> list[str]:
    """PostgreSQL's statements that guard the rows of a table, and of all of its partitions."""
    return [one.format(table=table) for one in _POSTGRESQL]


def guarding_part(table: str, part: str) -> list[str]:
    """Those that guard one partition, or the table itself, against being emptied as a whole."""
    return [one.format(table=table, part=part) for one in _POSTGRESQL_EACH]


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of guards that are not there, or are switched off."""
    if connection.vendor == "sqlite":
        return _missing_on_sqlite(connection)
    found = [(table, each) for table, _ in GUARDED for each in _on_postgresql(connection, table)]
    return [
        f"trigger {table}_{ending}" + (f" of {part}" if part != table else "")
        for table, (part, ending, is_there) in found
        if not is_there
    ]


def _missing_on_sqlite(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        there = {name for (name,) in cursor.fetchall()}
    wanted = [
        f"{table}_{ending}" for table, _ in GUARDED for ending in ("no_update", "no_delete", "no_replace")
    ]
    return [f"trigger {name}" for name in wanted if name not in there]


_GUARDS_OF_PARTS = """
    SELECT coalesce(part.id::regclass::text, %(table)s), ending, EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = part.id AND tgenabled = 'A' AND tgname = %(table)s || '_' || ending)
    FROM (SELECT to_regclass(%(table)s) AS id
          UNION SELECT relid FROM pg_partition_tree(to_regclass(%(table)s))) AS part,
        unnest(ARRAY['append_only', 'no_truncate']) AS ending
    ORDER BY part.id, ending"""


def _on_postgresql(connection: BaseDatabaseWrapper, table: str) -> list[tuple[str, str, bool]]:
    """Each guard of a table and of its partitions: of what, its name's ending, and whether it is in force."""
    if connection.vendor != "postgresql":
        raise Unsupported(f"The audit trail needs SQLite or PostgreSQL, not {connection.vendor}")
    with connection.cursor() as cursor:
        cursor.execute(_GUARDS_OF_PARTS, {"table": table})
        found: list[tuple[str, str, bool]] = cursor.fetchall()
    return found
