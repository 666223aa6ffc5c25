"""Calls after a delivery follow the event table: what was delivered is called for, once, whatever ends in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from databases import Database
from dropslot.arrivals.models import AfterCall, Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.signals import arrival_done
from dropslot.audit import chain
from dropslot.audit.chain import Entry
from dropslot.config import Config, from_mapping
from dropslot.core.states import State
from product import Product

CALLED: list[str] = []


def note(arrival: Arrival) -> None:
    CALLED.append(arrival.id)


@pytest.fixture
def called() -> list[str]:
    CALLED.clear()
    return CALLED


def configured(base: Path, **study: str) -> Config:
    other = {"folders": "./other", "deliver": [{"to": "./there"}]}
    study_route = {"folders": "./study", "deliver": [{"to": "./to"}], **study}
    return from_mapping({"routes": {"study": study_route, "other": other}}, base)


def deliver(number: int, route: str = "study") -> str:
    """What the transaction of a record leaves behind."""
    now = timezone.now()
    row = Arrival(id=f"{number:026}", route=route, inbox="/i", name="s", name_bytes=b"s", is_folder=True)
    row.state, row.received_at, row.finished_at = State.DONE, now, now
    with transaction.atomic():
        row.save(force_insert=True)
        chain.append([Entry("claimed", row.id), Entry("delivered", row.id)])
    return row.id


def test_each_delivery_is_called_for_once(database: Database, tmp_path: Path, called: list[str]) -> None:
    config = configured(tmp_path, after=f"{__name__}.note")
    after.listen(config)
    wanted = [deliver(1), deliver(2)]
    deliver(3, route="other")  # has no `after`
    while after.call_due(config, "worker"):
        pass
    assert called == wanted
    assert AfterCall.objects.count() == 2


def test_what_a_process_delivered_before_it_was_killed_is_called_for_by_the_next(
    database: Database, tmp_path: Path, called: list[str]
) -> None:
    config = configured(tmp_path, after=f"{__name__}.note")
    after.listen(config)
    wanted = deliver(1)  # and the process ended before anybody read of it
    after.listen(config)
    assert after.call_due(config, "worker")
    assert called == [wanted]


def test_what_was_delivered_before_after_was_configured_is_not_called_for(
    database: Database, tmp_path: Path, called: list[str]
) -> None:
    without, config = configured(tmp_path), configured(tmp_path, after=f"{__name__}.note")
    for route in (config, without):
        after.listen(route)
    deliver(1)
    after.listen(config)
    assert not after.call_due(config, "worker")
    wanted = deliver(2)
    after.call_due(config, "worker")
    assert called == [wanted]


def test_who_listens_to_the_signal_hears_of_every_route(database: Database, tmp_path: Path) -> None:
    heard: list[str] = []

    def hear(arrival: Arrival, **_: object) -> None:
        heard.append(arrival.id)

    arrival_done.connect(hear)
    try:
        after.listen(configured(tmp_path))
        wanted = [deliver(1), deliver(2, route="other")]
        after.call_due(configured(tmp_path), "worker")
    finally:
        arrival_done.disconnect(hear)
    assert heard == wanted


def test_a_kill_between_the_record_and_the_call_loses_no_call(sqlite_product: Product) -> None:
    product = sqlite_product
    (product.root / "plugins").mkdir(exist_ok=True)
    (product.root / "plugins" / "lab_calls.py").write_text(
        f"def convert(arrival):\n    open({str(product.root / 'calls')!r}, 'a').write(arrival.name)\n"
    )
    (product.root / "plugins" / "killing.py").write_text(
        "import os\n"
        "from dropslot.audit import outbox\n"
        "from dropslot.checks.base import Check\n"
        "class Kill(Check):\n"
        "    def __init__(self, option):\n"
        "        if option: outbox.read = lambda *_, **__: os._exit(9)\n"
        "    def check_item(self, item): return ()\n"
    )
    route = {"folders": "./study", "deliver": [{"to": "./delivered"}], "after": "lab_calls.convert"}
    product.configure({"study": route | {"checks": [{"killing.Kill": True}]}})
    (product.root / "delivered").mkdir(exist_ok=True)
    product.drop("s1", b"1")
    product.run("drain", "--now", status=9)
    assert [row["state"] for row in product.arrivals()] == ["done"] and not (product.root / "calls").exists()
    [row] = product.listing("pending")
    assert (row["where"], row["name"], row["reason"]) == (
        "after",
        "s1",
        ["the function after the delivery is still to be called"],
    )
    product.configure({"study": route})
    product.drain()
    product.drain()
    assert product.listing("pending") == []
    assert (product.root / "calls").read_text() == "s1"
