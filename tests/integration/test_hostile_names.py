"""Names at their limits: 255 bytes in two versions, and twins that a destination takes for one name."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mounts import Mounts
from people import program
from product import STUDY, Product

NFC, NFD = unicodedata.normalize("NFC", "é.txt"), unicodedata.normalize("NFD", "é.txt")
TWINS = {
    "case": {"scan.txt": b"1", "SCAN.txt": b"2"},
    "form": {NFC: b"1", NFD: b"2"},
    "folders": {"a/x": b"1", "A/y": b"2"},
    "none": {"one.txt": b"1", "two.txt": b"2"},
}
# Our seam, for kernels without such a file system: how names are folded is found out by a trial at the destination.
FOLDING = """
from dropslot.files import folder_probe
folder_probe.folds_names = lambda folder: (True, True)
from dropslot.cli import main
main()
"""


@pytest.fixture
def folding_product(make_product: Callable[..., Product], mounts: Mounts) -> Product:
    """A product whose destination takes names that differ in case or normal form for one."""
    if Path("/sys/fs/ext4/features/casefold").exists():
        return make_product().configure({"study": STUDY | {"deliver": [{"to": str(mounts.ext4_folding())}]}})
    usual = program()
    return make_product(how=replace(usual, command=(usual.command[0], "-c", FOLDING)))


def test_twins_are_refused_where_the_destination_folds_them(folding_product: Product) -> None:
    for name, tree in TWINS.items():
        folding_product.drop(name, tree)
    folding_product.drain(status=1)
    states = {row["name"]: (row["state"], row["reason"]) for row in folding_product.arrivals()}
    assert {name for name, (state, _) in states.items() if state == "failed"} == {"case", "form", "folders"}
    assert "SCAN.txt and scan.txt are the same name" in states["case"][1][0]
    assert NFC in states["form"][1][0]
    assert {row["item"] for row in folding_product.history()} == set(TWINS["none"])


def test_twins_are_delivered_as_they_are_where_nothing_folds_them(sqlite_product: Product) -> None:
    for name, tree in TWINS.items():
        sqlite_product.drop(name, tree)
    sqlite_product.drain()
    assert sqlite_product.delivered() == {
        name: data for tree in TWINS.values() for name, data in tree.items()
    }


def test_name_of_255_bytes_gets_a_second_version_of_at_most_255(sqlite_product: Product) -> None:
    names = {"n" * 251 + ".txt", "ä" * 127 + "a", "i" * 248 + ".nii.gz", "." + "h" * 254}
    for content in (b"1", b"2"):
        sqlite_product.drop("limits", dict.fromkeys(names, content))
        sqlite_product.drain()
    delivered = sqlite_product.delivered()
    assert {name: data for name, data in delivered.items() if name in names} == dict.fromkeys(names, b"1")
    seconds = {name for name, data in delivered.items() if data == b"2"}
    assert len(seconds) == len(names)
    assert {len(name.encode()) for name in seconds} <= {254, 255}
    assert any(name.endswith(".v2.nii.gz") for name in seconds)
