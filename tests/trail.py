"""An audit trail in Django's default database, which fixtures made for one test."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from dropslot.audit import chain, receipts, triggers
from dropslot.audit.chain import Entry, Head
from dropslot.audit.models import Event, Receipt

ARRIVAL = "01JD0000000000000000000000"


def grow(count: int = 10) -> Head:
    """Append `count` events in one transaction."""
    entries = [Entry("delivered", ARRIVAL, {"item": f"scan {n}.nii", "size_bytes": n}) for n in range(count)]
    with transaction.atomic():
        return chain.append(entries)


def summary(head: Head, arrival: str = ARRIVAL) -> receipts.Summary:
    """What a finished arrival is."""
    then = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
    return receipts.Summary(
        arrival=arrival,
        route="study",
        name="Zoë-2026",
        sender="ann",
        received_at=then,
        finished_at=then,
        outcomes={"delivered": 3, "unchanged": 1},
        manifests={"/studies/x": "0" * 64},
        guarantees=[receipts.SOURCE_COMPARED, receipts.BAG_VALIDATED],
        head=head,
    )


def give_receipt(folder: Path, head: Head, number: int = 0) -> Receipt:
    """A signed and saved receipt that holds this head."""
    receipt = receipts.sign(summary(head, f"01JD{number:022}").body(), folder)
    receipt.save(force_insert=True)
    return receipt


def tamper(sql: str, parameters: tuple[Any, ...] = ()) -> None:
    """What somebody does who may alter tables: drop the guards, edit, put the guards back."""
    with connection.schema_editor() as editor:
        triggers.drop(None, editor)
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
    with connection.schema_editor() as editor:
        triggers.create(None, editor)


def write_at_once(threads: int, times: int) -> list[Exception]:
    """Append from many threads, each with its own connection; returns what went wrong."""
    faults: list[Exception] = []

    def write() -> None:
        try:
            for _ in range(times):
                grow(2)
        except Exception as error:  # noqa: BLE001 - told by the test itself
            faults.append(error)
        finally:
            connection.close()

    started = [threading.Thread(target=write) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return faults


def recorded() -> list[list[Any]]:
    """Everything that the audit trail holds."""
    return [list(model.objects.order_by("pk").values_list()) for model in (Event, Receipt)]
