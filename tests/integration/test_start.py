"""What cannot work is refused at start, before anything is taken."""

from __future__ import annotations

import pytest

from mounts import Mounts
from product import STUDY, Product


def test_folders_on_two_file_systems_are_refused_before_anything_is_taken(
    sqlite_product: Product, mounts: Mounts
) -> None:
    product = sqlite_product
    other = mounts.tmpfs("4m")
    product.configure({"study": STUDY | {"done": str(other)}})
    dropped = product.drop("s", {"a": b"1"})
    ended = product.drain(status=1)
    assert "different file systems" in ended.stderr and str(other) in ended.stderr
    assert (dropped / "a").exists()
    assert product.delivered() == {}


def test_two_mounts_of_one_file_system_are_refused(sqlite_product: Product, mounts: Mounts) -> None:
    product = sqlite_product
    same = mounts.bind(product.folder("processing"))
    product.configure({"study": STUDY | {"processing": str(same)}})
    dropped = product.drop("s", b"1")
    assert "on two mounts of the same one" in product.drain(status=1).stderr
    assert dropped.exists()
    assert product.run("doctor", status=1).stdout.count("nothing can be moved") == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"after": "ownlab.convrt"},
            "ownlab.convrt, which route study names, cannot be imported: ImportError: module ownlab has no",
        ),
        ({"processors": ["ownlab.Broken"]}, "ownlab.Broken, which route study names, cannot be imported"),
        ({"after": "nowhere.convert"}, "there is no module nowhere"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_taken(
    sqlite_product: Product, keys: dict[str, object], words: str
) -> None:
    product = sqlite_product
    plugins = product.root / "plugins"
    plugins.mkdir()
    (plugins / "ownlab.py").write_text("def convert(arrival): ...\n")
    product.configure({"study": STUDY | keys})
    dropped = product.drop("s", {"a": b"1"})
    assert words in " ".join(product.drain(status=2).stderr.split())
    assert (dropped / "a").exists()
