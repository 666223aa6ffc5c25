"""An audit trail of its own for one test: a fresh database, migrated, under an alias of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management import call_command
from django.db import connections, transaction

from dropslot.audit import chain, triggers
from dropslot.audit.chain import Entry, Head

ARRIVAL = "01JD0000000000000000000000"


@contextmanager
def sqlite_trail(folder: Path, mode: str = "IMMEDIATE") -> Iterator[str]:
    """The alias of a fresh SQLite database in `folder`."""
    options = {"transaction_mode": mode, "timeout": 10}
    settings = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "db.sqlite3"),
        "OPTIONS": options,
    }
    yield from _trail(settings)


@contextmanager
def postgres_trail(url: str) -> Iterator[str]:
    """The alias of a fresh database in the server at `url`."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    parts = urlsplit(url)
    settings = {"ENGINE": "django.db.backends.postgresql", "NAME": name}
    settings |= {"HOST": parts.hostname or "", "PORT": str(parts.port), "USER": parts.username or ""}
    yield from _trail(settings)


def _trail(settings: dict[str, Any]) -> Iterator[str]:
    alias = f"trail_{uuid.uuid4().hex}"
    connections.databases[alias] = {**connections.databases["default"], **settings, "TEST": {}}
    connections.databases[alias].setdefault("OPTIONS", {})
    if "postgresql" in settings["ENGINE"]:
        connections.databases[alias]["OPTIONS"] = {}
    try:
        call_command("migrate", "dropslot_audit", database=alias, verbosity=0)
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def grow(alias: str, count: int = 10) -> Head:
    """Append `count` events in one transaction."""
    entries = [Entry("delivered", ARRIVAL, {"item": f"scan {n}.nii", "size_bytes": n}) for n in range(count)]
    with transaction.atomic(using=alias):
        return chain.append(entries, using=alias)


def tamper(alias: str, sql: str, parameters: tuple[Any, ...] = ()) -> None:
    """What somebody does who may alter tables: drop the guards, edit, put the guards back."""
    connection = connections[alias]
    with connection.schema_editor() as editor:
        triggers.drop(None, editor)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
    with connection.schema_editor() as editor:
        triggers.create(None, editor)
