"""Several destinations of one route: each is retried by itself, and the receipt says no more than was had at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from product import STUDY, Product, read_tree
from sshd import Sshd

pytestmark = pytest.mark.usefixtures("drains_try_once")

FILES = {"a": b"1", "d/b": b"2"}


def hinder(folder: Path) -> Path:
    """Names can be given there, and the manifest cannot; removing what is returned heals it."""
    (folder / ".dropslot").mkdir(parents=True)
    (folder / ".dropslot/manifests").touch()
    return folder / ".dropslot/manifests"


def to(*deliver: str | dict[str, Any]) -> dict[str, Any]:
    rules = [{"to": one} if isinstance(one, str) else one for one in deliver]
    return {"study": STUDY | {"deliver": rules}}


def try_again(product: Product) -> dict[str, Any]:
    product.run("retry", product.arrivals()[0]["id"])
    product.drain(status=None)
    return product.arrivals()[0]


def at(server: Sshd, folder: Path, **more: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    keys = {"key": str(server.key), "known_hosts": str(server.known_hosts)}
    return {"to": server.url(folder), **keys, **more}


def test_a_destination_that_is_given_up_leaves_what_was_delivered_to_the_others(
    product: Product, shared_sshd: Sshd
) -> None:
    hinder(product.root / "mirror")
    product.configure(to("./studies", at(shared_sshd, product.root / "mirror"))).drop("s", FILES)
    product.drain(status=None)
    assert product.arrivals()[0]["state"] == "retrying"
    product.configure(to("./studies"))
    arrival = try_again(product)
    assert (arrival["state"], arrival["reason"]) == ("done", [])
    assert product.delivered() == FILES
    assert {row["destination"] for row in product.history()} == {str(product.studies)}
    assert len(product.manifests()) == 1
    product.run("verify", "--fixity")


def test_one_that_is_away_holds_up_no_other(product: Product) -> None:
    here, away = product.root / "here", product.root / "away"
    in_the_way = [hinder(here), hinder(away)]
    product.configure(to("./away", "./here", "./studies")).drop("s", FILES)
    product.drain(status=None)
    for path in in_the_way:
        path.unlink()
    away.rename(product.root / "unplugged")
    arrival = try_again(product)
    assert arrival["state"] == "retrying"
    assert "away" in arrival["reason"][0]
    assert len(list(here.glob(".dropslot/manifests/*"))) == 1
    (product.root / "unplugged").rename(away)
    assert try_again(product)["state"] == "done"
    assert len(list(away.glob(".dropslot/manifests/*"))) == 1
    assert read_tree(here) == read_tree(away) == product.delivered() == FILES
    assert len(product.history()) == 6


def test_new_folders_below_one_folder_are_destinations_of_one_arrival(
    product: Product, shared_sshd: Sshd
) -> None:
    """They are staged in the same place until they are there."""
    far = at(shared_sshd, product.root / "far", create_folders=True)
    below = [far | {"to": f"{far['to']}/{{study}}/{part}"} for part in ("{visit}", "all")]
    product.configure(
        {
            "study": STUDY
            | {
                "name": r"(?P<study>\w+)-(?P<visit>\w+)",
                "deliver": [{"to": "./studies/{study}"}, {"to": "./studies/{visit}"}, *below],
            }
        }
    )
    product.drop("heart-v1", FILES)
    product.drain()
    for folder in (product.studies, product.root / "far/heart"):
        there = read_tree(folder)
        assert sorted(set(there.values())) == [b"1", b"2"] and len(there) == 4
        assert not (folder / ".dropslot").exists()
    assert len(product.history()) == 8
    product.run("verify", "--fixity")


@pytest.mark.parametrize("first_is_read_back", [True, False])
def test_the_receipt_says_what_was_had_at_each_in_whatever_attempt(
    sqlite_product: Product, shared_sshd: Sshd, first_is_read_back: bool
) -> None:
    product = sqlite_product
    first, second = (
        at(shared_sshd, product.root / name, verify="read-back" if read_back else "size")
        for name, read_back in (("first", first_is_read_back), ("second", not first_is_read_back))
    )
    in_the_way = hinder(product.root / "second")
    product.configure(to(first, second)).drop("s", FILES)
    product.drain(status=None)
    assert product.arrivals()[0]["state"] == "retrying"
    in_the_way.unlink()
    arrival = try_again(product)
    assert arrival["state"] == "done"
    (out := product.root / "receipts").mkdir()
    product.run("receipt", arrival["id"], "--out", out)
    body = json.loads(next(out.glob("*.json")).read_bytes())
    assert [line for line in body["guarantees"] if "size compared" in line]
    assert [line for line in body["guarantees"] if "read back" in line] == []
