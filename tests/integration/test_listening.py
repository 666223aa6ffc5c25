"""PostgreSQL wakes who waits for events, in other processes too; a pooler or a lost connection does not hang it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from databases import Database, connected_to, postgres_settings
from dropslot.arrivals.workers import due
from dropslot.audit.chain import Entry, append
from dropslot.audit.event_wakeups import Ear
from dropslot.audit.kinds import Kind
from dropslot.running.stopping import Signal
from pgbouncer import pooled
from postgres import PostgresServer
from product import Product
from waiting import wait_until

FOR_EVER = 3600.0


def tell(kind: Kind) -> None:
    with transaction.atomic():
        append([Entry(kind)])


class Listener:
    """A thread with an ear, as a process on another machine."""

    def __init__(self, kind: Kind, stop: Signal) -> None:
        self.heard, self.waits, self.fault = 0, threading.Event(), ""
        self._kind, self._stop = kind, stop
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        ear = Ear([self._kind])
        try:
            ear.wait([self._stop], FOR_EVER)  # it has just begun: at once
            self.waits.set()
            ear.wait([self._stop], FOR_EVER)
            self.heard += 1
        except DatabaseError as error:
            self.fault = str(error)
        finally:
            connection.close()


def test_a_commit_wakes_who_waits_for_its_kind(postgres_database: Database) -> None:
    stop = Signal()
    claimed, delivered = Listener(Kind.CLAIMED, stop), Listener(Kind.DELIVERED, stop)
    assert claimed.waits.wait(60) and delivered.waits.wait(60)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        append([Entry(Kind.CLAIMED)])
        raise ZeroDivisionError
    tell(Kind.DELIVERED)
    delivered.thread.join(60)
    assert delivered.heard == 1 and claimed.thread.is_alive()
    stop.set()
    claimed.thread.join(60)
    assert not claimed.thread.is_alive()


def test_events_of_other_kinds_make_no_wait_longer(postgres_database: Database) -> None:
    stop = Signal()
    over = threading.Event()

    def others() -> None:
        while not over.wait(0.05):
            tell(Kind.DELIVERED)
        connection.close()

    ear = Ear([Kind.CLAIMED])
    ear.wait([stop], FOR_EVER)  # it has just begun: at once
    chatter = threading.Thread(target=others)
    chatter.start()
    try:
        ended = threading.Timer(20, stop.set)
        ended.start()
        ear.wait([stop], 0.5)
        ended.cancel()
    finally:
        over.set()
        chatter.join()
    assert not stop.is_set()


def test_what_comes_between_two_waits_is_heard(postgres_database: Database) -> None:
    ear = Ear([Kind.CLAIMED])
    ear.wait([], FOR_EVER)
    tell(Kind.CLAIMED)  # on its own connection, which reads the notification with the commit
    ear.wait([], FOR_EVER)


def test_a_lost_connection_ends_the_wait(
    postgres_database: Database, postgres_server: PostgresServer
) -> None:
    listener = Listener(Kind.CLAIMED, Signal())
    assert listener.waits.wait(60)
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{postgres_database.settings['NAME']}' AND query LIKE 'LISTEN%'"
    )
    listener.thread.join(60)
    assert not listener.thread.is_alive() and listener.fault


def test_sqlite_has_none(sqlite_database: Database) -> None:
    ear = Ear([Kind.CLAIMED])
    assert not ear.hears()
    ear.wait([], 0)


def test_a_service_behind_a_pooler_delivers_without_it(
    make_product: Callable[..., Product],
    postgres_url: str,
    postgres_server: PostgresServer,
    django_db_blocker: Any,
) -> None:
    password = postgres_server.passwords["PGPASSWORD"]
    with pooled(postgres_url, password) as url:
        with django_db_blocker.unblock(), connected_to(postgres_settings(url)):
            assert not Ear([Kind.CLAIMED]).hears()
        product = make_product(url)
        product.start("run")
        product.drop("one", {"a": b"a"})
        wait_until(lambda: (product.studies / "a").exists(), deadline_seconds=60, what="the delivery")
        product.close()
        assert "through a pooler" in (product.root / "run.log").read_text()


def test_an_idle_worker_looks_again_when_something_is_due(postgres_database: Database) -> None:
    from dropslot.arrivals.models import Arrival

    assert due.until_arrivals() == due.until_calls() == due.until_receipts() == float("inf")
    values: dict[str, Any] = {"route": "r", "inbox": "/i", "name_bytes": b"n", "is_folder": True}
    row = Arrival.objects.create(
        id="A" * 26,
        **values,
        name="n",
        state="retrying",
        received_at=timezone.now(),
        due_at=timezone.now() + timedelta(hours=1),
    )
    assert 3500 < due.until_arrivals() < 3700
    for state in ("processing", "ready"):
        row.state, row.due_at = state, None
        row.save()
        assert due.until_arrivals() == due.SOON_SECONDS
