"""Triggers that refuse to change or remove what was recorded, on SQLite and PostgreSQL.

They stop mistakes, and accounts that may write to tables but not alter them. `verify` notices a dropped trigger.
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
    """CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
    # Also while a replication role is set, which switches ordinary triggers off.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
)
_POSTGRESQL_GONE = (
    "DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
    "DROP TRIGGER IF EXISTS {table}_no_truncate ON {table}",
    "DROP FUNCTION IF EXISTS {table}_refuse()",
)
_STATEMENTS = {"sqlite": (_SQLITE, _SQLITE_GONE), "postgresql": (_POSTGRESQL, _POSTGRESQL_GONE)}


def create(apps: Apps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    """Guard the tables; for RunPython. Refuses a database that dropslot does not know."""
    _run(schema_editor, 0)


def drop(apps: Apps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    """Remove the guards: to reverse the migration, and for tests that empty all tables."""
    _run(schema_editor, 1)


def _run(schema_editor: BaseDatabaseSchemaEditor, which: int) -> None:
    vendor = schema_editor.connection.vendor
    if vendor not in _STATEMENTS:
        raise Unsupported(f"The audit trail needs SQLite or PostgreSQL, not {vendor}")
    for table, key in GUARDED:
        for statement in _STATEMENTS[vendor][which]:
            schema_editor.execute(statement.format(table=table, key=key), params=None)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of guards that are not there, or are switched off."""
    if connection.vendor not in _NAMES:
        raise Unsupported(f"The audit trail needs SQLite or PostgreSQL, not {connection.vendor}")
    ask, endings = _NAMES[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ask)
        there = {name for (name,) in cursor.fetchall()}
    wanted = [f"{table}_{ending}" for table, _ in GUARDED for ending in endings]
    return [f"trigger {name}" for name in wanted if name not in there]


_NAMES = {
    "sqlite": (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        ("no_update", "no_delete", "no_replace"),
    ),
    "postgresql": (
        "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A' AND tgrelid IN"
        " (to_regclass('dropslot_event'), to_regclass('dropslot_receipt'))",
        ("append_only", "no_truncate"),
    ),
}
