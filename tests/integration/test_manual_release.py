"""`release: manual`: an arrival is judged whole, held, and sent onward when a person or a command says so."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from product import STUDY, Product
from waiting import wait_until

MANUAL: dict[str, Any] = {**STUDY, "release": "manual", "select": {"patterns": ["*.dcm"]}}


@pytest.fixture
def holding(product: Product) -> Product:
    """Three arrivals that are held, the first two with the same item."""
    product.configure({"study": MANUAL})
    product.drop("one", {"a.dcm": b"1"})
    product.drain()
    product.drop("two", {"a.dcm": b"22"})
    product.drop("three", {"b.dcm": b"3"})
    product.drain()
    return product


def _states(product: Product) -> dict[str, str]:
    return {row["name"]: "held" if row["held_at"] else row["state"] for row in product.arrivals()}


def test_what_is_whole_is_held_and_sent_onward_by_number(holding: Product) -> None:
    assert set(_states(holding).values()) == {"held"}
    assert holding.delivered() == {}
    waiting = holding.listing("pending")
    assert {row["state"] for row in waiting} == {"ready"}
    assert all("start_queue" in row["reason"][0] for row in waiting)
    assert [row["items"] for row in holding.arrivals()] == [1, 1, 1]
    said = holding.run("start_queue", "--number", "2").stdout
    assert "1 still held" in said
    holding.drain()
    assert _states(holding) == {"one": "done", "two": "done", "three": "held"}
    assert holding.delivered() == {"a.dcm": b"1", "a.v2.dcm": b"22"}
    kinds = [row["kind"] for row in holding.listing("events", "--arrival", holding.arrivals()[0]["id"])]
    assert kinds == ["claimed", "started", "held", "released", "started", "delivered"]
    assert all(row["data"]["by"] for row in holding.listing("events", "--kind", "released"))
    assert holding.run("verify", "--fixity").status == 0


@pytest.mark.sqlite_only
def test_a_held_arrival_is_not_tried_again_and_survives_a_restart(holding: Product) -> None:
    before = holding.arrivals()
    for _ in range(2):
        service = holding.start("run")
        wait_until(lambda: holding.run("watcher_status", status=None).status == 0, what="the watcher")
        holding.drop("new", {"n.exe": b"x"})
        holding.wait_for_state("new", "failed")  # the workers have looked at the queue
        service.send_signal(signal.SIGTERM)
        service.wait(60)
        holding.run(
            "dismiss",
            *(row["id"] for row in holding.arrivals("--state", "failed")),
            "--reason",
            "x",
            status=None,
        )
    assert [row for row in holding.arrivals() if row["held_at"]] == before
    late = holding.run("health", "--json", status=None).objects[0]
    assert [one["about"] for one in late["late"]] == ["watcher"]
    assert late["ready"]["count"] == 0


def test_a_later_one_may_be_sent_onward_first_and_one_that_is_not_held_is_named(holding: Product) -> None:
    one, two, _ = holding.arrivals()
    holding.run("start_queue", two["id"])
    holding.drain()
    assert _states(holding) == {"one": "held", "two": "done", "three": "held"}
    refused = holding.run("start_queue", two["id"], one["id"], status=1)
    assert f"{two['id']} (two) is not held" in refused.stderr
    assert one["id"] in refused.stdout
    assert holding.run("start_queue", one["id"], "--number", "1", status=2).stdout == ""


@pytest.mark.sqlite_only
def test_a_held_one_is_checked_again_or_dismissed(holding: Product) -> None:
    one, two, _ = holding.arrivals()
    holding.run("retry", one["id"])
    assert _states(holding)["one"] == "ready"
    holding.drain()
    assert _states(holding)["one"] == "held"
    holding.run("dismiss", two["id"], "--reason", "wrong patient")
    assert _states(holding)["two"] == "failed"
    kept = holding.folder("failed") / two["id"]
    assert (kept / "two" / "a.dcm").read_bytes() == b"22"
    assert "wrong patient" in (kept / "REASON.txt").read_text()
    holding.run("start_queue")
    holding.drain()
    assert holding.delivered() == {"a.dcm": b"1", "b.dcm": b"3"}


@pytest.mark.sqlite_only
def test_what_fails_a_check_is_refused_and_not_held(product: Product) -> None:
    product.configure({"study": MANUAL})
    product.drop("bad", {"a.exe": b"1"})
    product.drain(status=1)
    assert _states(product) == {"bad": "failed"}
    assert product.run("start_queue").stdout == "Nothing is held.\n"


@pytest.mark.sqlite_only
def test_what_is_read_where_it_lies_is_held_too(product: Product) -> None:
    product.configure({"study": {**MANUAL, "leave_source": True}})
    product.drop("one", {"a.dcm": b"1"})
    product.drop("two", {"b.dcm": b"1"})
    product.drain()
    one, two = sorted(product.arrivals(), key=lambda row: row["name"])
    product.run("dismiss", two["id"], "--reason", "x")
    product.run("start_queue")
    product.drain()
    assert _states(product) == {"one": "done", "two": "failed"}
    assert product.delivered() == {"a.dcm": b"1"}
    assert one["id"] in product.run("receipt", one["id"]).stdout
