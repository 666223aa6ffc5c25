"""One arrival that is odd holds up no other, and is itself delivered or refused with words."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from product import STUDY, Product


def name_it(product: Product, name: bytes) -> None:
    """Drop a folder under a name that text cannot hold."""
    product.drop("aside", {"odd": b"1"})
    inbox = os.fsencode(product.folder("inbox"))
    os.rename(os.path.join(inbox, b"aside"), os.path.join(inbox, name))


def test_folder_called_probe_among_many_items(sqlite_product: Product) -> None:
    tree = {f"f{number}": b"1" for number in range(70)} | {"probe/x": b"2"}
    sqlite_product.drop("session1", tree)
    sqlite_product.drain()
    assert sqlite_product.delivered() == tree


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"bad\xff", r"bad\xff: the name is not valid UTF-8"),
        (b"new\nline", r"new\x0aline: the name contains a control character"),
        (
            b"turned\xe2\x80\xaeround",
            r"turned\u202eround: the name contains a character that reverses the direction of text",
        ),
    ],
)
def test_folder_of_an_unsafe_name_is_refused_and_others_go_on(
    product: Product, name: bytes, why: str
) -> None:
    name_it(product, name)
    product.drop("good", {"b": b"2"})
    product.drain(status=1)
    assert product.delivered() == {"b": b"2"}
    [refused] = product.arrivals("--state", "failed")
    assert [reason for reason in refused["reason"] if reason.startswith(why)], refused["reason"]


def test_the_name_that_done_keeps_for_itself_is_refused(sqlite_product: Product) -> None:
    # With `settled` hidden names are taken too.
    sqlite_product.configure({"study": STUDY | {"complete": "settled", "settle": "0.1s"}})
    sqlite_product.drop(".again", {"a": b"1"})
    sqlite_product.run("drain", status=1)
    [refused] = sqlite_product.arrivals()
    assert refused["state"] == "failed"
    assert "kept for dropslot" in refused["reason"][0]


def test_field_that_no_database_holds_as_it_is_delays_nobody(
    make_product: Callable[..., Product], database_url: str
) -> None:
    product = make_product(database_url).configure({"study": STUDY | {"name": "(?P<location>.*)"}})
    name_it(product, b"bad\xff")
    product.drop("x" * 200, {"c": b"2"})
    product.drop("good", {"b": b"2"})
    product.drain(status=1)
    assert product.delivered() == {"b": b"2", "c": b"2"}
    by_state = {arrival["name"]: arrival["state"] for arrival in product.arrivals()}
    assert by_state == {"bad\\xff": "failed", "x" * 200: "done", "good": "done"}


def test_key_that_cannot_be_used_is_said_and_waited_for(sqlite_product: Product) -> None:
    sqlite_product.drop("first", {"a": b"1"})
    sqlite_product.drain()
    key = sqlite_product.root / "var/keys/receipt_ed25519"
    key.chmod(0o644)
    sqlite_product.drop("second", {"b": b"2"})
    sqlite_product.drain(status=1)
    second = sqlite_product.wait_for_state("second", "retrying")
    assert "Other accounts can read" in second["reason"][0]
    key.chmod(0o600)
    sqlite_product.run("retry", second["id"])
    sqlite_product.drain()
    assert sqlite_product.delivered() == {"a": b"1", "b": b"2"}


def test_reason_with_a_nul_is_written_down(product: Product) -> None:
    plugin(product, REASON_WITH_NUL)
    product.configure({"study": STUDY | {"checks": [{"plugins.mine.Mine": None}]}})
    product.drop("scan", b"1")
    product.drain(status=1)
    [refused] = product.arrivals()
    assert (refused["state"], refused["reason"]) == ("failed", ["a\\x00b"])


def plugin(product: Product, text: str) -> None:
    folder = product.root / "plugins"
    folder.mkdir()
    (folder / "mine.py").write_text(text)


REASON_WITH_NUL = """
from dropslot.checks.base import Check

class Mine(Check):
    def check_item(self, item):
        yield "a\\0b"
"""
