"""Listings that are narrowed: what there is not is wrong usage, and what fits nothing says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from at_once import run_at_once
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.narrowing import moment
from product import STUDY, Product

pytestmark = pytest.mark.xdist_group("narrowed-listings")  # what they share is made once

LISTINGS = ("arrivals", "history", "pending", "events", "uploads")
BY_ROUTE = (*LISTINGS, "log_readers", "acknowledgments")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Product:
    """A route that delivered, one that refused, and one that config.yaml has no more."""
    product = Product(tmp_path_factory.mktemp("listed"))
    product.begin_with(sqlite_template)
    routes = {key: STUDY | {"folders": f"./{key}"} for key in ("one", "gone")}
    product.configure(routes | {"two": STUDY | {"folders": "./two", "select": {"max_items": 1}}})
    product.drop("good", {"a": b"1"}, route="one")
    product.drop("old", {"b": b"1"}, route="gone")
    product.drop("bad", {"c": b"1", "d": b"2"}, route="two")
    product.drain(status=1)
    del routes["gone"]
    return product.configure(routes | {"two": STUDY | {"folders": "./two", "select": {"max_items": 1}}})


def said(product: Product, *commands: tuple[str, ...], status: int = 0) -> list[str]:
    """What each of the commands says, on stderr where that is all that it says."""
    ended = run_at_once(product, *commands)
    assert [one.status for one in ended] == [status] * len(commands), ended
    return [one.stdout or one.stderr for one in ended]


def test_a_route_that_there_is_not_is_wrong_usage_and_those_that_are_get_named(delivered: Product) -> None:
    for words in said(delivered, *((command, "--route", "nope") for command in BY_ROUTE), status=2):
        assert words == "dropslot: --route 'nope' is unknown. Use one of gone, one, two.\n"


def test_a_state_that_there_is_not_is_wrong_usage(delivered: Product) -> None:
    for words in said(delivered, *((command, "--state", "nope") for command in LISTINGS), status=2):
        assert "waiting, ready, processing, retrying, done, failed" in words


def test_a_kind_that_there_is_not_is_wrong_usage_and_one_that_did_not_happen_is_no_match(
    delivered: Product,
) -> None:
    [unknown] = said(delivered, ("events", "--kind", "foo"), status=2)
    assert "delivered" in unknown and "refused" in unknown
    assert said(delivered, ("events", "--kind", "purged")) == ["No match for --kind purged.\n"]


@pytest.mark.parametrize("prefix", ["ZZZ", "0", "\u00fc", "\udcff", ""])
def test_an_id_of_none_or_of_several_is_wrong_usage(delivered: Product, prefix: str) -> None:
    commands: tuple[tuple[str, ...], ...] = (
        ("receipt",),
        ("retry",),
        ("audit_upload", "--by", "x"),
        ("events", "--arrival"),
    )
    commands = commands if prefix else commands[:3]
    ids = [row["id"] for row in delivered.arrivals()]
    for words in said(delivered, *((*command, prefix) for command in commands), status=2):
        assert "Nothing was done." in words
        assert all(one in words for one in ids) is (prefix in ("", "0"))


def test_one_bad_id_of_several_changes_nothing(delivered: Product) -> None:
    [failed] = delivered.arrivals("--state", "failed")
    said(
        delivered, ("retry", failed["id"], "ZZZ"), ("audit_upload", failed["id"], "Z", "--by", "x"), status=2
    )
    assert delivered.arrivals("--state", "failed") == [failed]
    assert delivered.listing("events", "--kind", "upload-audited") == []


def test_a_route_that_config_has_no_more_is_known(delivered: Product) -> None:
    history, latest = said(delivered, ("history", "--route", "gone", "--json"), ("latest", "gone", "--json"))
    assert (json.loads(history)["name"], json.loads(latest)["item"]) == ("old", "b")
    assert said(delivered, ("latest", "two")) == ["This route has delivered nothing yet.\n"]
    assert "Use one of gone, one, two" in said(delivered, ("latest", "nope"), status=2)[0]


def test_history_of_a_state_without_deliveries_is_empty_and_says_where_to_look(delivered: Product) -> None:
    states = ("failed", "waiting", "processing")
    for state, words in zip(
        states, said(delivered, *(("history", "--state", one) for one in states)), strict=True
    ):
        assert f"dropslot arrivals --state {state}" in words
    assert said(delivered, *(("history", "--state", one, "--json") for one in states)) == [""] * len(states)
    assert len(delivered.history("--state", "done")) == 2


def test_a_route_whose_fetches_nobody_tells_is_wrong_usage(delivered: Product) -> None:
    for route in ((), ("--route", "one")):
        [words] = said(delivered, ("history", "--unacknowledged", *route), status=2)
        assert "Give the route `acknowledge`" in words


def test_no_match_says_no_match(delivered: Product) -> None:
    narrowed = [
        ("--since", "2999-01-01"),
        ("--search", "nowhere"),
        ("--search", "\udcff\\x1b"),
        ("--route", "two", "--search", "nowhere"),
    ]
    commands = [(command, *options) for command in BY_ROUTE for options in narrowed]
    for (_, option, *_), words in zip(commands, said(delivered, *commands), strict=True):
        assert words.startswith(f"No match for {'--search' if option == '--route' else option} ")
        assert ("in the future" in words) is (option == "--since")
    assert set(said(delivered, *((*command, "--json") for command in commands))) == {""}


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "5" * 5000 + "d", "tomorrow", " ", "-1d"]
)
def test_a_time_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="Write 2026-03-01"):
        moment(text)


def test_a_raw_byte_of_a_name_is_found(delivered: Product) -> None:
    delivered.drop("odd\udcff", b"1", route="one")
    delivered.drain(status=1)
    assert [row["name"] for row in delivered.arrivals("--search", "odd\udcff")] == [r"odd\xff"]
