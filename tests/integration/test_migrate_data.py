"""An installation's records go into another database: all of them, the same, whatever interrupts it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing

import psycopg

from dropslot.arrivals.workers import holder
from moving import bytes_of, database_of, everything, use
from postgres import PostgresServer
from product import Product, read_tree

# The index knows arrivals that have ended.
_INDEXED = (
    "SELECT (SELECT count(*) FROM dropslot_search_arrival),"
    " (SELECT count(*) FROM dropslot_arrival WHERE state IN ('done', 'failed'))"
)


def test_all_is_the_same_there_and_back(
    used: Product, postgres_server: PostgresServer, empty_postgres_url: str
) -> None:
    assert "Only PostgreSQL has partitions" in used.run("partition_trail", status=1).stderr
    before, source = everything(used), bytes_of(used)
    said = used.run("migrate_data", "--to", empty_postgres_url).stdout
    assert re.search(r"tables, [\d,]+ rows: every value is the same in both", said)
    assert re.search(r"Chain of the copy: \d+ events, \d+ receipts, \d+ signatures: OK", said)
    assert f"Change line 2 of {used.config} to\n    database: {empty_postgres_url}\n" in said
    assert bytes_of(used) == source
    assert "An earlier run completed this copy" in used.run("migrate_data", "--to", empty_postgres_url).stdout

    use(used, empty_postgres_url)
    assert everything(used) == before
    with psycopg.connect(empty_postgres_url, password=postgres_server.passwords["PGPASSWORD"]) as database:
        [[documents, arrivals]] = database.execute(_INDEXED).fetchall()
    assert documents == arrivals > 0
    said = used.run("partition_trail").stdout
    assert "dropslot_event_2 begins at " in said and "dropslot_receipt_2 begins at 01" in said
    used.drop("three", {"scan.txt": b"new"})
    used.drain()
    assert used.history()[-1]["outcome"] == "delivered"
    assert "OK" in used.run("verify", "--fixity").stdout
    assert "holds another" not in used.run("doctor", status=None).stdout

    after = everything(used)
    use(used, "sqlite")  # where the copy was made from; the copy is the newer one
    said = used.run("migrate_data", "--to", empty_postgres_url, status=1).stderr
    assert "used since" in said and "Do not empty it" in said
    use(used, empty_postgres_url)
    assert "move the file" in used.run("migrate_data", "--to", "sqlite", status=1).stderr
    database_of(used).rename(used.root / "old.sqlite3")
    used.run("migrate_data", "--to", "sqlite")
    use(used, "sqlite")
    assert everything(used) == after
    used.drop("four", {"scan.txt": b"newer"})
    used.drain()
    assert "OK" in used.run("verify", "--fixity").stdout


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


def test_names_that_changed_hands_between_two_runs_are_copied(used: Product, empty_postgres_url: str) -> None:
    """A row of the copy still has the name that another one has in the source by now."""
    for name in ("ada", "bob"):
        used.run("adduser", name, "--role", "auditor")
    [(arrival, right)] = change(used, "SELECT id, name FROM dropslot_arrival LIMIT 1")
    change(used, f"UPDATE dropslot_arrival SET name = 'x' || char(0) WHERE id = '{arrival}'")
    used.run("migrate_data", "--to", empty_postgres_url, status=1)
    change(used, f"UPDATE dropslot_arrival SET name = '{right}' WHERE id = '{arrival}'")
    for old, new in (("ada", "x"), ("bob", "ada"), ("x", "bob")):
        change(used, f"UPDATE auth_user SET username = '{new}' WHERE username = '{old}'")
    used.run("migrate_data", "--to", empty_postgres_url)


def change(used: Product, statement: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database_of(used))) as database, database:
        return database.execute(statement).fetchall()
