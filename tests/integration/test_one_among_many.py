"""One arrival that is odd holds up no other, and is itself delivered or refused with words."""

from __future__ import annotations

import os

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
