"""Bytes made anew: what is delivered is not what was sent, and both digests are recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import bagit
import pytest

from product import STUDY, Product, read_tree, write_tree

MAKERS = """
import os
from pathlib import Path
from dropslot.contents.makers import Maker
from dropslot.core.errors import Refused

class Upper(Maker):
    def make(self, item, out):
        if item.name == "refused":
            raise Refused(["it cannot be made anew"])
        with item.open() as stream:
            out.write(stream.read().upper())

class Renames(Upper):
    def make(self, item, out):
        super().make(item, out)
        return f"anew/{item.size_bytes}"

class Escapes(Upper):
    def make(self, item, out):
        return "../../outside"

class Breaks(Upper):
    def make(self, item, out):
        raise ValueError("what now?")

class Random(Maker):
    def make(self, item, out):
        (Path(self.option) / os.urandom(8).hex()).touch()
        out.write(os.urandom(16))

class Grows(Upper):
    def make(self, item, out):
        super().make(item, out)
        mark = Path(self.option) / "mark"
        if not mark.exists():
            mark.touch()
            (file,) = Path(self.option).glob(f"study/processing/*/*/{item.name}")
            file.write_bytes(b"another")
"""
FILES = {"a.txt": b"alpha", "sub/b.txt": b"beta", "SAME": b"SAME", "empty/": b""}
UPPER = {"a.txt": b"ALPHA", "sub/b.txt": b"BETA", "SAME": b"SAME"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def making(product: Product) -> Callable[..., Product]:
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "making.py").write_text(MAKERS)

    def configure(maker: str = "Upper", option: str = "", **more: Any) -> Product:
        made_by = {f"making.{maker}": str(product.root / option)}
        return product.configure({"study": STUDY | {"made_by": made_by} | more})

    return configure


def nothing_is_left(product: Product) -> None:
    assert not list((product.root / "var" / "made").glob("*"))


def test_what_was_made_is_delivered_and_the_source_is_archived(making: Callable[..., Product]) -> None:
    product = making()
    product.drop("s", FILES)
    product.drop("lone.txt", b"lone")
    product.drain()
    assert product.delivered() == UPPER | {"lone.txt": b"LONE"}
    assert (product.folder("done") / "s/a.txt").read_bytes() == b"alpha"
    rows = {row["item"]: row for row in product.history()}
    assert rows["a.txt"]["sha256"] == sha256(b"ALPHA")
    assert rows["a.txt"]["archived_as"] == str(product.folder("done") / "s/a.txt")
    product.run("verify", "--fixity")
    nothing_is_left(product)
    product.run("purge", "--older-than", "0s", "--yes")
    assert not (product.folder("done") / "s/a.txt").exists()
    assert not (product.folder("done") / "lone.txt").exists()


@pytest.mark.sqlite_only
def test_what_is_made_is_for_the_service_alone(making: Callable[..., Product]) -> None:
    product = making("Breaks")
    product.drop("s", FILES)
    product.drain(status=1)
    assert (product.root / "var" / "made").stat().st_mode & 0o777 == 0o700


@pytest.mark.sqlite_only
def test_a_source_read_in_place_is_compared_with_what_was_sent(making: Callable[..., Product]) -> None:
    product = making(leave_source=True)
    product.drop("s", FILES)
    product.drain()
    assert product.delivered() == UPPER
    product.run("verify", "--fixity")
    product.drain()
    assert len(product.arrivals()) == 1


@pytest.mark.sqlite_only
def test_purge_compares_done_with_what_was_sent(making: Callable[..., Product]) -> None:
    product = making()
    product.drop("lone.txt", b"lone")
    product.drain()
    (product.folder("done") / "lone.txt").write_bytes(b"LONE")
    product.run("purge", "--older-than", "0s", "--yes", status=1)
    assert (product.folder("done") / "lone.txt").exists()


@pytest.mark.sqlite_only
def test_the_receipt_says_that_bytes_were_made_anew(making: Callable[..., Product]) -> None:
    product = making()
    product.drop("s", FILES)
    product.drain()
    (out := product.root / "receipts").mkdir()
    product.run("receipt", product.arrivals()[0]["id"], "--out", out)
    body = json.loads(next(out.glob("*.json")).read_bytes())
    assert [line for line in body["guarantees"] if "2 made anew" in line]


@pytest.mark.sqlite_only
def test_a_made_item_may_get_another_name(making: Callable[..., Product]) -> None:
    product = making("Renames")
    product.drop("s", {"a": b"1", "deep/b": b"22"})
    product.drain()
    assert product.delivered() == {"anew/1": b"1", "anew/2": b"22"}
    assert not (product.studies / "deep").exists()
    rows = {row["item"]: row for row in product.history()}
    assert rows["anew/2"]["archived_as"] == str(product.folder("done") / "s/deep/b")
    product.run("purge", "--older-than", "0s", "--yes")
    assert not (product.folder("done") / "s").exists()


@pytest.mark.sqlite_only
def test_two_items_of_one_name_and_names_that_lead_outside_are_refused(
    making: Callable[..., Product],
) -> None:
    product = making("Renames")
    product.drop("s", {"a": b"1", "b": b"2"})
    product.drain(status=1)
    making("Escapes").drop("t", {"a": b"1"})
    product.drain(status=1)
    reasons = [row["reason"][0] for row in product.arrivals("--state", "failed")]
    assert "anew/1" in reasons[0] and "twice" in reasons[0]
    assert "not a safe path" in reasons[1]
    assert product.delivered() == {}
    nothing_is_left(product)


@pytest.mark.sqlite_only
def test_one_item_that_cannot_be_made_refuses_all(making: Callable[..., Product]) -> None:
    product = making()
    product.drop("s", {"a": b"1", "refused": b"2"})
    product.drain(status=1)
    assert product.arrivals()[0]["reason"] == ["refused: it cannot be made anew"]
    nothing_is_left(product)


@pytest.mark.sqlite_only
def test_a_maker_that_breaks_is_retried(making: Callable[..., Product]) -> None:
    product = making("Breaks")
    product.drop("s", {"a": b"1"})
    product.drain(status=1)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "retrying" and "making.Breaks failed" in arrival["reason"][0]
    assert product.delivered() == {}


@pytest.mark.sqlite_only
def test_a_source_that_changes_after_it_was_made_anew_voids_the_attempt(
    making: Callable[..., Product],
) -> None:
    product = making("Grows")
    product.drop("s", {"a": b"first"})
    product.drain()
    assert product.delivered() == {"a": b"ANOTHER"}
    assert len(product.listing("events", "--kind", "retrying")) == 1


@pytest.mark.sqlite_only
def test_all_destinations_get_what_was_made_once(making: Callable[..., Product]) -> None:
    (making().root / "mirror").mkdir()
    product = making("Random", "counts", deliver=[{"to": "./studies"}, {"to": "./mirror"}])
    (product.root / "counts").mkdir()
    product.drop("s", {"a": b"1", "b": b"2"})
    product.drain()
    for name in ("a", "b"):
        assert (product.root / "mirror" / name).read_bytes() == product.delivered()[name]
    assert len(list((product.root / "counts").iterdir())) == 2


def test_a_delivery_that_was_cut_goes_on_with_what_was_made(making: Callable[..., Product]) -> None:
    product = making("Random", "counts", deliver=[{"to": "./studies"}, {"to": "./mirror"}])
    (product.root / "counts").mkdir()
    (hindered := product.root / "mirror" / ".dropslot").mkdir(parents=True)
    (hindered / "manifests").touch()
    product.drop("s", {"a": b"1", "deep/b": b"2"})
    product.drain(status=None)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "retrying"
    assert len(first := product.delivered()) == 2
    (hindered / "manifests").unlink()
    product.run("retry", arrival["id"])
    product.drain()
    assert read_tree(product.root / "mirror") == product.delivered() == first
    assert len(list((product.root / "counts").iterdir())) == 2
    product.run("verify", "--fixity")
    nothing_is_left(product)


@pytest.mark.sqlite_only
def test_fields_of_items_and_checks_see_what_was_made(making: Callable[..., Product]) -> None:
    words = """
from dropslot.checks.base import Check
from dropslot.fields.base import ItemField

class Word(ItemField):
    gives = frozenset({"word"})

    def values(self, item, known):
        return {"word": item.open().read().decode()}

class IsUpper(Check):
    def check_item(self, item):
        if not item.open().read().isupper():
            yield f"{item.path} is not upper"
"""
    product = making(
        fields=[{"words.Word": None}], checks=["words.IsUpper"], deliver=[{"to": "./studies/{word}"}]
    )
    (product.root / "plugins" / "words.py").write_text(words)
    product.drop("s", {"a": b"one", "b": b"two"})
    product.drain()
    assert product.delivered() == {"ONE/a": b"ONE", "TWO/b": b"TWO"}


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.sqlite_only
def test_a_bag_is_validated_as_it_was_sent(making: Callable[..., Product], is_whole: bool) -> None:
    product = making(checks=[{"bag": True}])
    sent = write_tree(product.root / "sent", {"a.txt": b"alpha"})
    bagit.make_bag(str(sent), checksums=["sha256"])
    if not is_whole:
        (sent / "data/a.txt").write_bytes(b"ALPHA")
    product.drop_copy(sent, "bag")
    product.drain(status=None)
    assert product.delivered() == ({"a.txt": b"ALPHA"} if is_whole else {})
    if is_whole:
        product.run("purge", "--older-than", "0s", "--yes")
        assert not (product.folder("done") / "bag/data/a.txt").exists()


def test_rebuild_and_purge_know_what_was_sent(making: Callable[..., Product]) -> None:
    product = making("Renames")
    product.drop("s", {"a": b"one", "deep/b": b"three"})
    product.drain()
    for path in (product.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    product.run("rebuild")
    product.run("verify", "--fixity")
    product.run("purge", "--older-than", "0s", "--yes")
    assert not (product.folder("done") / "s").exists()
