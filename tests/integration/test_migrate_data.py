"""An installation's records go into another database: all of them, the same, whatever interrupts it."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import transaction

from databases import connected_to, sqlite_settings
from dropslot.arrivals.workers import holder
from dropslot.audit.chain import Entry, append
from postgres import PostgresServer
from product import Product, read_tree
from waiting import wait_until

_EVENTS = 30_000
# Where the copy is killed: once the other database has so many rows of a table.
_UNTIL = (
    ("django_migrations", 1),
    ("django_content_type", 1),
    ("dropslot_event", 8_000),
    ("dropslot_delivery", 1),
)


def database_of(product: Product) -> Path:
    return product.root / "var/dropslot.sqlite3"


@pytest.fixture
def used(sqlite_product: Product) -> Product:
    """An installation with several versions, something refused, and an account with a role."""
    product = sqlite_product
    product.drop("one", {"scan.txt": b"1", "größe/ñ.nii.gz": b"2"})
    product.drop("two", {"scan.txt": b"other"})
    product.drop("pipe", {"empty": b""})
    product.drop("no\udcff'\"name", {"a": b"a"})
    product.drain(status=None)
    (product.root / "password").write_text("correct horse battery\n")
    product.run("adduser", "olga", "--role", "operator", "--password-file", product.root / "password")
    return product


def use(product: Product, url: str) -> None:
    product._database = url
    product.configure()


def everything(product: Product) -> dict[str, list[dict[str, Any]]]:
    return {name: product.listing(name) for name in ("history", "arrivals", "events", "users")}


def bytes_of(product: Product) -> bytes:
    """The file with all that is in its write-ahead log."""
    with closing(sqlite3.connect(database_of(product))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database_of(product).read_bytes()


def test_all_is_the_same_there_and_back(used: Product, empty_postgres_url: str) -> None:
    before, source = everything(used), bytes_of(used)
    said = used.run("migrate_data", "--to", empty_postgres_url).stdout
    assert re.search(r"tables, [\d,]+ rows: every value is the same in both", said)
    assert re.search(r"Chain of the copy: \d+ events, \d+ receipts, \d+ signatures: OK", said)
    assert f"Change line 2 of {used.config} to\n    database: {empty_postgres_url}\n" in said
    assert bytes_of(used) == source
    assert "An earlier run completed this copy" in used.run("migrate_data", "--to", empty_postgres_url).stdout

    use(used, empty_postgres_url)
    assert everything(used) == before
    used.drop("three", {"scan.txt": b"new"})
    used.drain()
    assert used.history()[-1]["outcome"] == "delivered"
    assert "OK" in used.run("verify", "--fixity").stdout
    assert "holds another" not in used.run("doctor", status=None).stdout

    database_of(used).rename(used.root / "old.sqlite3")
    after = everything(used)
    used.run("migrate_data", "--to", "sqlite")
    use(used, "sqlite")
    assert everything(used) == after
    used.drop("four", {"scan.txt": b"newer"})
    used.drain()
    assert "OK" in used.run("verify", "--fixity").stdout


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


def _locked() -> AbstractContextManager[Any]:
    return pytest.raises(sqlite3.OperationalError, match="locked")


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
        with closing(sqlite3.connect(database_of(used), timeout=0)) as database, _locked():
            database.execute("BEGIN IMMEDIATE")
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


def test_what_must_not_be_filled_is_left_alone(
    used: Product, make_product: Callable[..., Product], postgres_url: str
) -> None:
    other = make_product(postgres_url)
    other.drop("theirs", {"a": b"a"})
    other.drain()
    before = everything(other)
    assert "another installation" in used.run("migrate_data", "--to", postgres_url, status=1).stderr
    assert everything(other) == before
    assert "has already" in used.run("migrate_data", "--to", "sqlite", status=1).stderr
    assert "no other database is known" in used.run("migrate_data", "--to", "mysql://u@h/d", status=2).stderr
    assert (
        "does not answer" in used.run("migrate_data", "--to", "postgresql://u@127.0.0.1:1/d", status=1).stderr
    )
    files = read_tree(used.root, hidden=())
    with holder.holding(used.root / "var"):
        assert "Something is at work" in used.run("migrate_data", "--to", postgres_url, status=1).stderr
    assert files.keys() == read_tree(used.root, hidden=()).keys()


def test_a_row_that_postgresql_cannot_hold_is_named(used: Product, empty_postgres_url: str) -> None:
    with closing(sqlite3.connect(database_of(used))) as database, database:
        [(arrival, name)] = database.execute("SELECT id, name FROM dropslot_arrival LIMIT 1").fetchall()
        database.execute("UPDATE dropslot_arrival SET name = 'x' || char(0) || 'y' WHERE id = ?", [arrival])
    said = used.run("migrate_data", "--to", empty_postgres_url, status=1).stderr
    assert f"The row {arrival} of dropslot_arrival cannot be copied" in said and "run this again" in said
    with closing(sqlite3.connect(database_of(used))) as database, database:
        database.execute("UPDATE dropslot_arrival SET name = ? WHERE id = ?", [name, arrival])
    used.run("migrate_data", "--to", empty_postgres_url)
