"""The database is made, brought up to date, or refused in words."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from product import Product

CHECK = "from dropslot.cli.startup import started; started(None)"


def database_of(product: Product) -> Path:
    return product.root / "var/dropslot.sqlite3"


def start(product: Product) -> subprocess.Popen[str]:
    """A process that does what every command does first."""
    source = Path(__file__).parents[2] / "src"
    environment = product.environment | {"DROPSLOT_CONFIG": str(product.config), "PYTHONPATH": str(source)}
    return subprocess.Popen(
        [sys.executable, "-c", CHECK],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_at_once_make_one_database(
    make_product: Callable[..., Product], empty_database_url: str
) -> None:
    product = make_product(empty_database_url, has_tables=False)
    processes = [start(product) for _ in range(6)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [status for _, status in ended] == [0] * 6, ended


_OF_OTHER_APPS = (
    "dropslot_event",
    "dropslot_event_reader",
    "dropslot_folder",
    "dropslot_folder_table",
    "dropslot_receipt",
)


def test_an_older_database_is_brought_up_to_date(sqlite_product: Product) -> None:
    sqlite_product.run("arrivals")
    with closing(sqlite3.connect(database_of(sqlite_product))) as database:
        database.execute(
            "DELETE FROM django_migrations WHERE app IN"
            " ('dropslot_arrivals', 'dropslot_acknowledgments', 'dropslot_dicom', 'dropslot_keeping')"
        )
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'dropslot_%'"
            " ORDER BY sql LIKE 'CREATE VIRTUAL%' DESC"  # what belongs to a virtual table goes with it
        ).fetchall()
        for [table] in tables:
            if table not in _OF_OTHER_APPS:
                database.execute(f"DROP TABLE IF EXISTS {table}")
        database.commit()
    sqlite_product.run("arrivals")


def test_a_newer_database_is_refused_and_not_touched(sqlite_product: Product) -> None:
    sqlite_product.run("arrivals")
    with closing(sqlite3.connect(database_of(sqlite_product))) as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('dropslot_audit', '0099_future', '2030-01-01')"
        )
        database.commit()
    done = sqlite_product.run("drain", "--now", status=1)
    assert "newer version" in done.stderr
    assert "dropslot_audit.0099_future" in done.stderr


@pytest.mark.parametrize("fault", ["header", "text", "folder"])
def test_a_corrupt_database_is_named(sqlite_product: Product, fault: str) -> None:
    sqlite_product.run("arrivals")
    file = database_of(sqlite_product)
    for name in (file, *file.parent.glob("dropslot.sqlite3-*")):
        name.unlink()
    if fault == "header":
        file.write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    elif fault == "text":
        file.write_text("this is no database " * 500)
    else:
        file.mkdir()
    done = sqlite_product.run("drain", "--now", status=1)
    assert str(file) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_postgresql_that_does_not_answer_is_named(make_product: Callable[..., Product]) -> None:
    product = make_product("postgresql://nobody@127.0.0.1:1/nothing")
    done = product.run("drain", "--now", status=1)
    assert "nothing at 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
