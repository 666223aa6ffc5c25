"""A service whose PostgreSQL is away, frozen, full, read-only, held up or taken over by its standby: it goes on, and
loses and repeats nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from mounts import Mounts
from postgres import PostgresServer
from product import Product
from waiting import wait_until


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """Not the one of the other tests: it is ended, and made read-only."""
    server = PostgresServer()
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.passwords.items():
            patch.setenv(name, value)
        yield server
    server.stop()


def log_of(product: Product) -> str:
    return (product.root / "run.log").read_text() if (product.root / "run.log").exists() else ""


def serve(product: Product) -> None:
    product.start("run")
    drop(product, "first")
    delivers(product, "first")


def drop(product: Product, name: str) -> None:
    product.drop(name, {name: name.encode()})


def delivers(product: Product, *names: str) -> None:
    wait_until(
        lambda: {*names} <= {path.name for path in product.studies.iterdir()},
        deadline_seconds=60,
        what="deliveries",
    )


def proves_once(product: Product, *names: str) -> None:
    """Each was delivered once, under its own name, and the trail is whole."""
    wait_until(
        lambda: {row["state"] for row in product.arrivals()} == {"done"}, deadline_seconds=60, what="all done"
    )
    assert sorted(row["name"] for row in product.arrivals()) == sorted(names)
    assert sorted(row["name"] for row in product.history()) == sorted(names)
    assert {row["version"] for row in product.history()} == {1}
    assert "OK" in product.run("verify", "--fixity").stdout


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    server.end(signal.SIGQUIT)
    yield
    server.start_again()


@contextmanager
def read_only(server: PostgresServer) -> Iterator[None]:
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.execute("SELECT pg_reload_conf()")
    yield
    with psycopg.connect(
        server.url("postgres"), password=server.passwords["PGPASSWORD"], autocommit=True
    ) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def held_up(server: PostgresServer) -> Iterator[None]:
    """Somebody's maintenance holds a table, and the server gives up what waits for long."""
    server.execute("ALTER SYSTEM SET lock_timeout = '1s'")
    server.execute("SELECT pg_reload_conf()")
    with psycopg.connect(server.url("here"), password=server.passwords["PGPASSWORD"]) as connection:
        connection.execute("LOCK TABLE dropslot_event IN ACCESS EXCLUSIVE MODE")
        yield
    server.execute("ALTER SYSTEM RESET lock_timeout")
    server.execute("SELECT pg_reload_conf()")


@contextmanager
def full(server: PostgresServer) -> Iterator[None]:
    """The disk of the database has no room for one page more."""
    with psycopg.connect(
        server.url("here"), password=server.passwords["PGPASSWORD"], autocommit=True
    ) as connection:
        connection.execute("CREATE TABLE filler AS SELECT 1 AS one")
        for rows in (10_000, 100):
            with pytest.raises(psycopg.errors.DiskFull):
                while True:
                    connection.execute("INSERT INTO filler SELECT generate_series(1, %s)", [rows])
        # What free room the pages of the product's tables have is used up by its next events.
        yield
        connection.execute("DROP TABLE filler")


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """It takes connections and requests, and answers none."""
    with server.frozen():
        yield


@pytest.fixture
def here(own_server: PostgresServer, mounts: Mounts) -> Iterator[str]:
    """A database on a small disk."""
    folder = own_server.give(mounts.tmpfs("40m"))
    own_server.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
    own_server.execute("CREATE DATABASE here TABLESPACE small")
    yield own_server.url("here")
    own_server.execute("DROP DATABASE here WITH (FORCE)")
    own_server.execute("DROP TABLESPACE small")


# Each with what the log says meanwhile; a server that is only slow is waited for.
TROUBLES = {
    "stopped": (stopped, "The database does not answer"),
    "frozen": (frozen, ""),
    "read-only": (read_only, "read-only transaction"),
    "held up": (held_up, "lock timeout"),
    "full": (full, "No space left"),
}


@pytest.mark.crash
def test_the_service_goes_on_when_a_trouble_ends(
    make_product: Callable[..., Product], own_server: PostgresServer, here: str
) -> None:
    product = make_product(here)
    serve(product)
    all_names = ["first"]
    for name, (trouble, words) in TROUBLES.items():
        before = len(log_of(product))
        with trouble(own_server):
            names, end = _drops_until(product, lambda: words in log_of(product)[before:], name)  # noqa: B023 - ended here
        end()
        delivers(product, *names)
        all_names += names
    proves_once(product, *all_names)
    product.close()


@pytest.mark.crash
def test_a_standby_takes_over_and_nothing_is_lost_or_repeated(make_product: Callable[..., Product]) -> None:
    primary = PostgresServer()
    primary.start()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in primary.passwords.items():
            patch.setenv(name, value)
        primary.execute("CREATE DATABASE here")
        standby = primary.standby()
        stack.callback(standby.stop)
        stack.callback(primary.stop)
        url = (
            f"postgresql://dropslot@{primary.address},{standby.address}/here?target_session_attrs=read-write"
        )
        product = make_product(url)
        stack.callback(product.close)
        serve(product)
        names, end = _drops_until(product, lambda: len(list(product.studies.iterdir())) >= 20)
        primary.end(signal.SIGQUIT)
        drop(product, "without")
        wait_until(lambda: "does not answer" in log_of(product), what="words")
        assert "can only be read now" in product.run("arrivals", status=1).stderr  # the standby
        standby.promote()
        drop(product, "after")
        delivers(product, "without", "after")
        end()
        delivers(product, *names)
        proves_once(product, "first", "without", "after", *names)


def _drops_until(
    product: Product, condition: Callable[[], bool], kind: str = "busy"
) -> tuple[list[str], Callable[[], None]]:
    """Ten arrivals, and as many as come until `condition`, one after the other; more come until the callable is
    called."""
    names: list[str] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.01):
            name = f"{kind}{len(names)}"
            drop(product, name)
            names.append(name)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    wait_until(lambda: len(names) >= 10 and condition(), deadline_seconds=60, what=kind)
    return names, end
