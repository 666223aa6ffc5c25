"""The database as it is, read and changed behind dropslot's back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from dicom.tables import origins_in, rows_in
from laboratory import Laboratory

_TABLES = ("arrival", "delivery", "place", "adoption", "after_call", "event", "receipt")
_RECEIPT = ("route", "name", "sender", "outcomes", "manifests", "guarantees")
_PAST = "2001-01-01 00:00:00+00:00"
_DUE = "UPDATE dropslot_arrival SET look_again_at = '2001-01-01 00:00:00' WHERE look_again_at IS NOT NULL"
_LATE = f"UPDATE dropslot_arrival SET lease_until = '{_PAST}' WHERE state = 'processing'"
_WAIT_SECONDS = 0.05


def dump(laboratory: Laboratory) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that dropslot has written."""
    with _connected(laboratory) as connection:
        rows = {name: connection.execute(f"SELECT * FROM dropslot_{name}").fetchall() for name in _TABLES}
    return {name: sorted(map(tuple, found), key=repr) for name, found in rows.items()}


def receipts(laboratory: Laboratory) -> list[dict[str, Any]]:
    """What the receipts say, but for ids, times and the place in the chain."""
    with _connected(laboratory) as connection:
        bodies = connection.execute("SELECT body FROM dropslot_receipt ORDER BY arrival").fetchall()
    return [{key: json.loads(body)[key] for key in _RECEIPT} for (body,) in bodies]


def images(laboratory: Laboratory) -> list[dict[str, Any]]:
    """The instances that were imported, with their series, studies and patients."""
    with _connected(laboratory) as connection:
        return rows_in(connection)


def origins(laboratory: Laboratory) -> list[tuple[Any, ...]]:
    """Which arrivals brought images of each series, and where they were delivered."""
    with _connected(laboratory) as connection:
        return origins_in(connection)


def leases_run_out(laboratory: Laboratory) -> bool:
    """As if the lease of every worker had passed by; False: a frozen process is inside of a transaction that holds
    these rows (SQLite: the whole database), so that nobody can change them before it goes on."""
    try:
        with _connected(laboratory) as connection:
            if laboratory.server:
                connection.execute("SELECT id FROM dropslot_arrival FOR UPDATE NOWAIT")
            connection.execute(_LATE)
            connection.commit()
    except (sqlite3.OperationalError, psycopg.errors.LockNotAvailable):
        return False
    return True


def looks_are_due(laboratory: Laboratory) -> None:
    """As if the time had come to compare what was delivered without a lease once more."""
    with _connected(laboratory) as connection:
        connection.execute(_DUE)
        connection.commit()


@contextmanager
def _connected(laboratory: Laboratory) -> Iterator[Any]:
    if laboratory.server is None:
        file = laboratory.product.root / "var" / "dropslot.sqlite3"
        with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection:
            yield connection
        return
    options = f"-c lock_timeout={round(_WAIT_SECONDS * 1000)}"
    password = os.environ["DROPSLOT_DATABASE_PASSWORD"]
    url = urlsplit(laboratory.server.url("crash")).geturl()
    with psycopg.connect(url, password=password, options=options) as connected:
        yield connected
