"""The databases that tests run on: SQLite and a private PostgreSQL, fresh for every test.

`database_url`  what config.yaml's `database:` takes, once for each kind: for tests of the product as a whole. The
                database has its tables and no rows; `empty_database_url` has no tables either.
`database`      Django's default database in this process, migrated, once for each kind. Commits are real: events
                cannot be deleted, so a test's database is thrown away as a whole and no `django_db` mark is needed.

A test to which the database makes no difference is marked `sqlite_only`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connections

from postgres import NoPostgres, PostgresServer

_PARAMETRIZED = ("database", "database_url", "empty_database_url")
_MIGRATED = "migrated"
_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, _PARAMETRIZED, on_both=True)


def parametrize(metafunc: pytest.Metafunc, fixtures: Sequence[str], *, on_both: bool) -> None:
    """Run this test with SQLite, and, with `on_both`, with PostgreSQL, too, unless it is marked `sqlite_only`; if it is
    marked `postgresql_in_crash`, in `make crash` alone."""
    marked = metafunc.definition.get_closest_marker
    both = on_both and not marked("sqlite_only")
    marks = [pytest.mark.crash] if marked("postgresql_in_crash") else []
    vendors = ["sqlite", pytest.param("postgresql", marks=marks)]
    told = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    for name in fixtures:
        if name in metafunc.fixturenames and name not in told:
            metafunc.parametrize(name, vendors if both else vendors[:1], indirect=True)


@dataclass(frozen=True)
class Database:
    """`url` is what config.yaml takes; `settings` is what Django takes."""

    vendor: str
    url: str
    settings: dict[str, Any]


@contextmanager
def connected_to(settings: dict[str, Any]) -> Iterator[None]:
    """Django's default database is this one, in every thread that connects from now on."""
    before = connections.settings["default"]
    _use(settings)
    try:
        yield
    finally:
        _use(before)


def _use(settings: dict[str, Any]) -> None:
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": settings})["default"]


def sqlite_settings(file: Path) -> dict[str, Any]:
    """As dropslot opens it: write-ahead log, every commit synced, the write lock taken first."""
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file), "OPTIONS": options}


def postgres_settings(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": os.environ["DROPSLOT_DATABASE_PASSWORD"],
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What `make` leaves at a path: the first of the processes of tests that needs it makes it for all of them."""
    folder = factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    made = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            aside = folder / f"{name}.aside"
            make(aside)
            aside.rename(made)
    return made


@pytest.fixture(scope="session")
def postgres_server(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[PostgresServer]:
    """One private server for each test process, started when the first test needs it; with a migrated database."""
    try:
        template = made_once(
            tmp_path_factory, "postgresql", lambda aside: _make_postgres(aside, django_db_blocker)
        )
    except NoPostgres as error:
        pytest.skip(str(error))
    server = PostgresServer()
    server.start(template)
    with _passwords(server):
        yield server
    server.stop()


def _make_postgres(aside: Path, blocker: Any) -> None:
    server = PostgresServer()
    server.start()
    with _passwords(server):
        server.execute(f"CREATE DATABASE {_MIGRATED}")
        _migrate(postgres_settings(server.url(_MIGRATED)), blocker)
    server.leave(aside)


@contextmanager
def _passwords(server: PostgresServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.passwords.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    return made_once(
        tmp_path_factory,
        "template.sqlite3",
        lambda aside: _migrate(sqlite_settings(aside), django_db_blocker),
    )


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    return _MIGRATED


def _migrate(settings: dict[str, Any], blocker: Any) -> None:
    with blocker.unblock(), connected_to(settings):
        call_command("migrate", verbosity=0)


@contextmanager
def fresh_postgres(server: PostgresServer, template: str = "template1") -> Iterator[str]:
    """The name of a new database, which is dropped afterwards, whoever is still connected."""
    name = f"test{next(_numbers)}"
    server.copy_database(template, name)
    try:
        yield name
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def on_sqlite(template: Path, folder: Path, blocker: Any) -> Iterator[Database]:
    """Django's default database is a copy of this file, in a new folder of `folder`."""
    file = folder / "database" / "dropslot.sqlite3"
    file.parent.mkdir()
    shutil.copyfile(template, file)
    settings = sqlite_settings(file)
    with blocker.unblock(), connected_to(settings):
        yield Database("sqlite", "sqlite", settings)


@contextmanager
def on_postgres(server: PostgresServer, template: str, blocker: Any) -> Iterator[Database]:
    """Django's default database is a copy of this one, which is dropped afterwards."""
    with fresh_postgres(server, template) as name:
        url = server.url(name)
        settings = postgres_settings(url)
        with blocker.unblock(), connected_to(settings):
            yield Database("postgresql", url, settings)


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path, django_db_blocker: Any) -> Iterator[Database]:
    with on_sqlite(sqlite_template, tmp_path, django_db_blocker) as database:
        yield database


@pytest.fixture
def postgres_database(
    postgres_server: PostgresServer, postgres_template: str, django_db_blocker: Any
) -> Iterator[Database]:
    with on_postgres(postgres_server, postgres_template, django_db_blocker) as database:
        yield database


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database:
    """Django's default database, migrated and empty: first SQLite, then PostgreSQL."""
    name = {"sqlite": "sqlite_database", "postgresql": "postgres_database"}[request.param]
    found: Database = request.getfixturevalue(name)
    return found


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database with its tables, for config.yaml."""
    with fresh_postgres(postgres_server, postgres_template) as name:
        yield postgres_server.url(name)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database without tables, for config.yaml."""
    with fresh_postgres(postgres_server) as name:
        yield postgres_server.url(name)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """What config.yaml's `database:` takes: first SQLite, then a PostgreSQL database with its tables."""
    return _url(request, "postgres_url")


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The same without tables: for tests of the first command's work."""
    return _url(request, "empty_postgres_url")


def _url(request: pytest.FixtureRequest, postgres: str) -> str:
    url: str = "sqlite" if request.param == "sqlite" else request.getfixturevalue(postgres)
    return url
