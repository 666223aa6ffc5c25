"""From what a recipient fetches from a real Apache to what history says of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from apache import FULL, Apache
from dropslot.arrivals.intake.record import user_name
from product import Product
from waiting import wait_until

PDF = b"%PDF-1.4 " + bytes(range(256)) * 800
LOGS = {"combined": ("access_log", "combined"), "full": ("full_log", FULL[1:-1])}


@pytest.fixture(params=LOGS)
def logged(request: pytest.FixtureRequest, apache: Apache) -> dict[str, Any]:
    """Which of Apache's logs is read, and how: combined, and the LogFormat that the documentation recommends."""
    attribute, format_ = LOGS[request.param]
    return {"log": str(getattr(apache, attribute)), "format": format_}


@pytest.fixture
def results(make_product: Callable[..., Product], apache: Apache, logged: dict[str, Any]) -> Product:
    return configured(make_product(), apache, **logged)


def configured(product: Product, apache: Apache, **entry: Any) -> Product:
    acknowledge = {
        "match": "/results/{folder}/{stored_name}",
        "users": {"clinic12": "digawana", "clínica 7": "molepo"},
    } | entry
    route = {
        "folders": "./results",
        "takes": "files",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": f"{apache.results}/{{folder}}", "manifest": "none"}],
        "acknowledge": [acknowledge],
    }
    return product.configure({"results": route})


def deliver(product: Product, *names: str, content: bytes = PDF) -> None:
    for name in names:
        product.drop(name, content, "results")
    product.drain()


def fetched(product: Product) -> dict[str, str | None]:
    """Who acknowledged what, by stored name."""
    product.run("start_log_reader")
    return {row["stored_as"]: row["acknowledged_by"] for row in product.history()}


def kinds(product: Product) -> list[str]:
    return [row["kind"] for row in product.listing("events")]


def test_fetch_by_its_clinic_acknowledges_the_delivery(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf", "molepo-2.pdf")
    assert fetched(results) == {"digawana-1.pdf": None, "molepo-2.pdf": None}
    assert apache.get("/results/digawana/digawana-1.pdf").content == PDF
    assert fetched(results) == {"digawana-1.pdf": "clinic12", "molepo-2.pdf": None}
    [row] = results.listing("acknowledgments")
    assert (row["user"], row["address"], row["evidence"]) == ("clinic12", "127.0.0.1", "whole")
    assert "GET /results/digawana/digawana-1.pdf HTTP/1.1" in row["line"]
    [event] = results.listing("events", "--kind", "acknowledged")
    assert event["data"]["stored_as"] == "digawana-1.pdf"
    assert ": OK." in results.run("verify").stdout


def test_what_is_no_fetch_of_the_whole_file_acknowledges_nothing(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    path = "/results/digawana/digawana-1.pdf"
    assert apache.get(path, method="HEAD").status_code == 200
    etag = apache.get(path, user="staff").headers["ETag"]
    assert apache.get(path, If_None_Match=etag).status_code == 304
    assert apache.get(path, user="clínica 7").status_code == 401
    assert apache.get(path, user="").status_code == 401
    assert apache.get(path, Range="bytes=0-99").status_code == 206
    assert apache.get("/results/digawana/never-sent.pdf").status_code == 404
    assert fetched(results) == {"digawana-1.pdf": None}


def test_others_who_fetch_are_access_events(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    for _ in range(3):
        apache.get("/results/digawana/digawana-1.pdf", user="staff")
    assert fetched(results) == {"digawana-1.pdf": None}
    [event] = results.listing("events", "--kind", "accessed")
    assert (event["data"]["user"], event["data"]["count"]) == ("staff", 3)
    assert event["data"]["because"] == "not a user of this folder"


def test_ranges_acknowledge_once_they_cover_the_file(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    path, middle = "/results/digawana/digawana-1.pdf", len(PDF) // 2
    apache.get(path, Range=f"bytes={middle}-")
    assert fetched(results) == {"digawana-1.pdf": None}
    apache.get(path, Range=f"bytes=0-{middle - 1}")
    assert fetched(results) == {"digawana-1.pdf": "clinic12"}
    [row] = results.listing("acknowledgments")
    assert row["evidence"] == ("sum" if "access.log" in row["log"] else "ranges")


def test_same_range_twice_covers_nothing_where_the_log_tells_ranges(
    make_product: Callable[..., Product], apache: Apache
) -> None:
    product = configured(make_product(), apache, log=str(apache.full_log), format="dropslot")
    deliver(product, "digawana-1.pdf")
    for _ in range(3):
        apache.get("/results/digawana/digawana-1.pdf", Range=f"bytes=0-{len(PDF) // 2}")
    assert fetched(product) == {"digawana-1.pdf": None}


def test_download_that_was_broken_off_acknowledges_nothing(
    make_product: Callable[..., Product], apache: Apache
) -> None:
    product = configured(make_product(), apache, log=str(apache.full_log), format="dropslot")
    deliver(product, "digawana-1.pdf", content=PDF * 200)
    apache.abort("/results/digawana/digawana-1.pdf")
    assert fetched(product) == {"digawana-1.pdf": None}
    assert product.listing("log_readers")[-1]["matches"] == 1


def test_odd_names_users_and_addresses_are_found(results: Product, apache: Apache) -> None:
    deliver(results, "molepo-r\u00e9sultat 100%+ #1.pdf")
    path = "/results/molepo/molepo-r%C3%A9sultat%20100%25+%20%231.pdf"
    assert apache.get(path, user="clínica 7", host="::1").status_code == 200
    [name] = fetched(results)
    [row] = results.listing("acknowledgments")
    assert (row["user"], row["address"], row["stored_as"]) == ("clínica 7", "::1", name)


def test_each_version_is_acknowledged_by_itself(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    deliver(results, "digawana-1.pdf", content=PDF + b"more")
    apache.get("/results/digawana/digawana-1.v2.pdf")
    assert fetched(results) == {"digawana-1.pdf": None, "digawana-1.v2.pdf": "clinic12"}


def test_file_that_was_sent_again_shows_the_fetch_of_the_same_file(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    apache.get("/results/digawana/digawana-1.pdf")
    deliver(results, "digawana-1.pdf")
    results.run("start_log_reader")
    assert [(row["outcome"], row["acknowledged_by"]) for row in results.history()] == [
        ("delivered", "clinic12"), ("unchanged", "clinic12"),
    ]  # fmt: skip


def test_unfetched_deliveries_are_listed(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf", "digawana-2.pdf")
    apache.get("/results/digawana/digawana-1.pdf")
    results.run("start_log_reader")
    assert [row["stored_as"] for row in results.history("--unacknowledged")] == ["digawana-2.pdf"]
    assert results.history("--unacknowledged", "--older-than", "7d") == []
    assert [row["stored_as"] for row in results.history("--unacknowledged", "--older-than", "0s")] == [
        "digawana-2.pdf"
    ]
    results.run("history", "--older-than", "7d", status=2)


def test_undone_acknowledgment_is_an_event_and_stays(results: Product, apache: Apache) -> None:
    deliver(results, "digawana-1.pdf")
    apache.get("/results/digawana/digawana-1.pdf")
    results.run("start_log_reader")
    stored = f"{apache.results}/digawana/digawana-1.pdf"
    results.run("unacknowledge", stored, status=2)
    results.run("unacknowledge", stored, "--reason", "our own test", LOGNAME="somebody")
    assert fetched(results) == {"digawana-1.pdf": None}
    [row] = results.listing("acknowledgments")
    assert (row["undone_because"], row["user"]) == ("our own test", "clinic12")
    assert row["undone_by"] == user_name(os.getuid())
    assert kinds(results).count("unacknowledged") == 1
    assert (
        "neither a valid acknowledgment"
        in results.run("unacknowledge", stored, "--reason", "x", status=1).stderr
    )
    apache.get("/results/digawana/digawana-1.pdf")
    assert fetched(results) == {"digawana-1.pdf": "clinic12"}
    assert kinds(results).count("acknowledged") == 2
    again = results.listing("acknowledgments", "--search", "digawana-1")[-1]["id"]
    results.run("unacknowledge", again[:20], "--reason", "again")
    assert fetched(results) == {"digawana-1.pdf": None}


def test_run_reads_the_logs_by_itself(make_product: Callable[..., Product], apache: Apache) -> None:
    product = configured(make_product(), apache, log=str(apache.access_log), every="100ms")
    deliver(product, "digawana-1.pdf")
    product.start("run")
    apache.get("/results/digawana/digawana-1.pdf")
    wait_until(lambda: product.history()[0]["acknowledged_by"], what="the acknowledgment")
    runs = product.listing("log_readers")
    assert [run["lines"] for run in runs] == [1]


def test_reader_follows_until_it_is_stopped(make_product: Callable[..., Product], apache: Apache) -> None:
    product = configured(make_product(), apache, log=str(apache.access_log), every="100ms")
    deliver(product, "digawana-1.pdf")
    reader = product.start("start_log_reader", "--follow")
    apache.get("/results/digawana/digawana-1.pdf")
    wait_until(lambda: product.history()[0]["acknowledged_by"], what="the acknowledgment")
    reader.terminate()
    assert reader.wait(60) == 0


def test_log_that_comes_late_is_told_once_and_then_read(sqlite_product: Product) -> None:
    product, log = sqlite_product, sqlite_product.root / "late.log"
    product.studies.joinpath("dig").mkdir()
    entry = {"log": str(log), "match": "/r/{folder}/{stored_name}", "users": {"c": "dig"}, "every": "50ms"}
    route = {
        "folders": "./results",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": "./studies/{folder}"}],
        "acknowledge": [entry],
    }
    product.configure({"results": route})
    deliver(product, "dig-1.pdf")
    assert "does not exist" in product.run("start_log_reader", status=1).stderr
    reader = product.start("start_log_reader", "--follow")
    said = product.root / "start_log_reader.log"
    wait_until(lambda: said.read_text().count("does not exist") > 1, what="two tries")
    log.write_text(
        f'h - c [{datetime.now(UTC):%d/%b/%Y:%H:%M:%S} +0000] "GET /r/dig/dig-1.pdf HTTP/1.1" 200 {len(PDF)} "-" "-"\n'
    )
    wait_until(lambda: product.history()[0]["acknowledged_by"], what="the acknowledgment")
    reader.terminate()
    assert reader.wait(60) == 0
    assert [bool(row["error"]) for row in product.listing("log_readers")] == [True, False]


def test_service_does_not_start_with_a_reader_that_cannot_be_made(sqlite_product: Product) -> None:
    product = sqlite_product
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "mylogs.py").write_text("class Mine:\n    pass\n")
    entry = {"log": "x.log", "format": "mylogs.Mine", "match": "/{stored_name}", "users": {"*": "*"}}
    route = {"folders": "./results", "deliver": [{"to": "./studies"}], "acknowledge": [entry]}
    product.configure({"results": route})
    for command in ("run", "start_log_reader"):
        assert "mylogs.Mine is not a dropslot" in product.run(command, status=2).stderr


@pytest.fixture
def unfetched(sqlite_product: Product) -> Product:
    """A route with a copy for the laboratory and one for the clinics, whose server has an empty log."""
    product = sqlite_product
    route = {
        "folders": "./results",
        "takes": "files",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": "./copies"}, {"to": "./studies/{folder}"}],
        "acknowledge": [
            {
                "log": "./access.log",
                "match": "/results/{folder}/{stored_name}",
                "users": {"clinic12": "digawana"},
                "destination": "./studies/{folder}",
            }
        ],
    }
    product.configure({"results": route})
    (product.root / "copies").mkdir()
    (product.root / "access.log").touch()
    deliver(product, "digawana-1.pdf")
    return product


def test_what_no_log_tells_of_is_not_called_unfetched(unfetched: Product) -> None:
    assert len(unfetched.history()) == 2
    [row] = unfetched.history("--unacknowledged")
    assert row["destination"] == str(unfetched.studies / "digawana")


def test_ages_beyond_all_time_are_old_or_wrong_usage(unfetched: Product) -> None:
    assert len(unfetched.history("--since", "999999d")) == 2
    assert unfetched.history("--unacknowledged", "--older-than", "999999d") == []
    for options in (("--since", "9999999999d"), ("--unacknowledged", "--older-than", "9999999999d")):
        unfetched.run("history", *options, status=2)


def test_undoing_one_of_two_fetches_leaves_the_other_in_the_trail(unfetched: Product) -> None:
    when = datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    asked = f'"GET /results/digawana/digawana-1.pdf HTTP/1.1" 200 {len(PDF)} "-" "Firefox"'
    lines = [f"10.0.0.{number} - clinic12 [{when}] {asked}" for number in (1, 2)]
    (unfetched.root / "access.log").write_text("\n".join(lines) + "\n")
    unfetched.run("start_log_reader")
    one, other = (row["id"] for row in unfetched.listing("acknowledgments"))
    unfetched.run("unacknowledge", one, "--reason", "our own test")
    told = unfetched.listing("events", "--kind", "acknowledged")
    assert [event["data"]["acknowledgment"] for event in told] == [one, other]
    unfetched.run("unacknowledge", other, "--reason", "that, too")
    assert len(unfetched.listing("events", "--kind", "acknowledged")) == 2
    assert len(unfetched.history("--unacknowledged")) == 1
