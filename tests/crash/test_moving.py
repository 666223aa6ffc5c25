"""`migrate_data` is killed again and again, while the service goes on with the old database in between."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import psycopg
from django.db import transaction

from databases import connected_to, sqlite_settings
from dropslot.audit.chain import Entry, append
from moving import bytes_of, database_of, everything, use
from postgres import PostgresServer
from product import Product
from waiting import wait_until

_EVENTS = 30_000
# Where the copy is killed: once the other database has so many rows of a table.
_UNTIL = (
    ("django_migrations", 1),
    ("django_content_type", 1),
    ("dropslot_event", 8_000),
    ("dropslot_delivery", 1),
)


@contextmanager
def within(product: Product, blocker: Any) -> Iterator[None]:
    with blocker.unblock(), connected_to(sqlite_settings(database_of(product))):
        yield


def rows_in(server: PostgresServer, url: str, table: str, at_least: int) -> bool:
    """Whether another connection sees so many rows; a table that is not there yet has none."""
    with psycopg.connect(url, password=server.passwords["PGPASSWORD"], autocommit=True) as connection:
        try:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            return False
    return bool(row and row[0] >= at_least)


def is_locked(product: Product) -> bool:
    """Whether somebody holds the lock for writing."""
    with closing(sqlite3.connect(database_of(product), timeout=0)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
    return False


def test_killed_at_any_time_it_goes_on(
    used: Product, postgres_server: PostgresServer, empty_postgres_url: str, django_db_blocker: Any
) -> None:
    with within(used, django_db_blocker), transaction.atomic():
        append([Entry("viewed", "", {"number": number}) for number in range(_EVENTS)])
    url = empty_postgres_url
    for number, (table, rows) in enumerate(_UNTIL):
        process = used.start("migrate_data", "--to", url)
        has_rows = partial(rows_in, postgres_server, url, table, rows)
        wait_until(has_rows, deadline_seconds=60, what=table)
        # The rows may be an earlier run's.
        wait_until(partial(is_locked, used), deadline_seconds=60, what="the lock of the source")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (used.root / "migrate_data.log").read_text()
        _refuses_half(used, url)
        # The service goes on with the old database meanwhile.
        used.drop(f"meanwhile{number}", {"scan.txt": b"%d" % number})
        used.drain(status=None)
        used.run("purge", "--older-than", "0d", "--yes", status=None)
    before, source = everything(used), bytes_of(used)
    used.run("migrate_data", "--to", url)
    assert bytes_of(used) == source
    use(used, url)
    assert everything(used) == before
    assert "OK" in used.run("verify", "--fixity").stdout


def _refuses_half(product: Product, url: str) -> None:
    use(product, url)
    said = product.drain(status=1).stderr
    use(product, "sqlite")
    assert "unfinished copy" in said and "migrate_data" in said
