"""The state of an arrival, read from the database itself: who waits for one asks often, and a command costs fifty times
as much as a query."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import yaml

_NEWEST = "SELECT state FROM dropslot_arrival WHERE name = {} ORDER BY id DESC LIMIT 1"


def newest_state(config: Path, name: str) -> Callable[[], str | None]:
    """Asks for the state of the newest arrival of this name; None: there is none yet, or no database that answers."""
    content = yaml.safe_load(config.read_text())
    url = str(content.get("database", "sqlite"))
    if url == "sqlite":
        file = config.parent / content.get("data", "./var") / "dropslot.sqlite3"
        return lambda: _in_sqlite(file, name)
    return lambda: _in_postgres(url, name)


def _in_sqlite(file: Path, name: str) -> str | None:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(_NEWEST.format("?"), [name]).fetchone()
    except sqlite3.OperationalError:
        return None
    return str(row[0]) if row else None


def _in_postgres(url: str, name: str) -> str | None:
    password = os.environ["DROPSLOT_DATABASE_PASSWORD"]
    try:
        with psycopg.connect(url, password=password, connect_timeout=5) as connection:
            row = connection.execute(_NEWEST.format("%s").encode(), [name]).fetchone()
    except psycopg.Error:
        return None
    return str(row[0]) if row else None
