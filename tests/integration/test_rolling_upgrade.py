"""Machines are upgraded one after another: what old code meets in a newer database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from brokers import Broker
from databases import connected_to, postgres_settings, sqlite_settings
from product import Product

# The last migrations of the first version that may run beside newer ones. Raise them only with a version that says
# in the CHANGELOG that all machines must be stopped for its upgrade.
SINCE = {
    "dropslot_arrivals": "0008",
    "dropslot_audit": "0003",
    "dropslot_lookup": "0001",
    "dropslot_acknowledgments": "0002",
    "dropslot_dicom": "0002",
}


def columns() -> dict[str, dict[str, tuple[str, bool]]]:
    """Of each table its columns: type, and whether a row can be written without naming it."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("dropslot_"):
                cursor.execute(f"PRAGMA table_info({table})")
                found[table] = {
                    row[1]: (row[2], not row[3] or row[4] is not None) for row in cursor.fetchall()
                }
    return found


def test_every_table_of_the_older_version_can_be_used_as_before(
    tmp_path: Path, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock(), connected_to(sqlite_settings(tmp_path / "old.sqlite3")):
        for app, number in SINCE.items():
            call_command("migrate", app, number, verbosity=0)
        before = columns()
        call_command("migrate", verbosity=0)
        after = columns()
    assert "dropslot_arrival" in before
    for table, old in before.items():
        gone = {name for name, (kind, _) in old.items() if after[table].get(name, ("", True))[0] != kind}
        assert not gone, f"{table}: old code uses {gone}"
        added = set(after[table]) - set(old)
        assert all(after[table][name][1] for name in added), f"{table}: old code writes no {added}"


def upgrade(product: Product, url: str, blocker: Any) -> None:
    """As a newer version would, which another machine has by now."""
    file = product.root / "var/dropslot.sqlite3"
    settings = sqlite_settings(file) if url == "sqlite" else postgres_settings(url)
    with blocker.unblock(), connected_to(settings):
        MigrationRecorder(connection).record_applied("dropslot_arrivals", "0099_future")


@pytest.mark.crash
def test_a_service_that_finds_a_newer_database_finishes_and_ends_and_its_next_start_is_refused(
    make_product: Callable[..., Product], database_url: str, django_db_blocker: Any
) -> None:
    product = make_product(database_url)
    service = product.start("start_observer")
    product.drop("before", {"a": b"1"})
    product.wait_for_state("before", "done")
    upgrade(product, database_url, django_db_blocker)
    assert service.wait(60) != 0
    log = (product.root / "start_observer.log").read_text()
    assert "newer version of dropslot" in log and "Install that version on this machine, too" in log
    product.drop("after", {"a": b"2"})
    refused = product.run("start_observer", status=1).stderr
    assert "0099_future" in refused and "newer version" in refused
    assert (product.folder("inbox") / "after").exists()


@pytest.mark.crash
@pytest.mark.xdist_group("brokers")
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_workers_and_beat_of_celery_end_as_well(
    make_product: Callable[..., Product], postgres_url: str, broker: Broker, django_db_blocker: Any
) -> None:
    product = make_product(postgres_url).configure(workers="celery", broker=broker.url)
    services = [product.start(command) for command in ("run", "worker", "beat")]
    product.drop("before", {"a": b"1"})
    product.wait_for_state("before", "done")
    upgrade(product, postgres_url, django_db_blocker)
    assert [service.wait(60) for service in services] == [1, 1, 1]
