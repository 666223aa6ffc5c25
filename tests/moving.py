"""An installation whose records are moved into another database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from product import Product


def database_of(product: Product) -> Path:
    return product.root / "var/dropslot.sqlite3"


@pytest.fixture
def used(sqlite_product: Product) -> Product:
    """An installation with several versions, an account with a role, and an index for searches."""
    product = sqlite_product
    product.drop("one", {"scan.txt": b"1", "größe/ñ.nii.gz": b"2"})
    product.drop("two", {"scan.txt": b"other"})
    product.drop("pipe", {"empty": b""})
    product.drop("no\udcff'\"name", {"a": b"a"})
    product.drain(status=None)
    (product.root / "password").write_text("correct horse battery\n")
    product.run("adduser", "olga", "--role", "operator", "--password-file", product.root / "password")
    with closing(sqlite3.connect(database_of(product))) as database, database:
        database.execute("INSERT INTO dropslot_event_reader VALUES ('search', 0)")
    return product


def use(product: Product, url: str) -> None:
    product.database = url
    product.configure()


def everything(product: Product) -> dict[str, list[dict[str, Any]]]:
    return {name: product.listing(name) for name in ("history", "arrivals", "events", "users")}


def bytes_of(product: Product) -> bytes:
    """The file with all that is in its write-ahead log."""
    with closing(sqlite3.connect(database_of(product))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database_of(product).read_bytes()
