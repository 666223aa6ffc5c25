"""Programs that still have an item open for writing after it was taken: it is waited for, a mapping included."""

from __future__ import annotations

import mmap
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dropslot.core.errors import SourceUnready
from dropslot.files import copying
from product import STUDY, Product

LEASED = "source: under a lease while it was read"


@contextmanager
def opened(path: Path) -> Iterator[None]:
    with path.open("r+b"):
        yield


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """A shared, writable mapping; the descriptor is closed, so that no write(2) can come."""
    with path.open("r+b") as stream:
        memory = mmap.mmap(stream.fileno(), 0)
    with memory:
        yield


@pytest.mark.parametrize("held", [opened, mapped])
def test_item_that_a_program_has_open_for_writing_is_waited_for(
    sqlite_product: Product, held: Callable[[Path], Iterator[None]]
) -> None:
    product = sqlite_product
    folder = product.drop("s", {"a.dat": b"1", "b.dat": b"2"})
    with held(folder / "b.dat"):  # type: ignore[attr-defined]
        assert product.drain(status=1).status == 1
        [row] = product.arrivals()
        assert row["state"] == "retrying" and product.delivered() == {}
        assert "b.dat is still open for writing" in row["reason"][0] and "closed the file" in row["reason"][0]
    product.run("retry", row["id"])
    product.drain()
    assert product.delivered() == {"a.dat": b"1", "b.dat": b"2"}
    assert LEASED in _receipt(product)


def test_of_many_items_shared_by_two_processes_none_is_read_without_a_lease(sqlite_product: Product) -> None:
    product = sqlite_product
    many = {f"{number:04}.dat": b"x" * 40_000 for number in range(1200)}
    folder = product.drop("s", many)
    with (folder / "1199.dat").open("r+b"):  # the copying child begins at this end
        product.drain(status=1)
    [row] = product.arrivals()
    assert "1199.dat is still open for writing" in row["reason"][0]
    product.run("retry", row["id"])
    product.drain()
    assert product.delivered() == many and LEASED in _receipt(product)


def test_what_is_read_in_place_keeps_no_writer_waiting_and_its_receipt_says_so(
    sqlite_product: Product,
) -> None:
    product = sqlite_product.configure({"study": STUDY | {"leave_source": True, "complete": "named"}})
    dropped = product.drop("s", b"1")
    with dropped.open("r+b"):
        product.drain()
    assert product.delivered() == {"s": b"1"}
    assert LEASED not in _receipt(product)


def test_program_that_opens_a_leased_item_for_writing_has_to_wait_and_nobody_is_killed(
    tmp_path: Path,
) -> None:
    item = tmp_path / "item"
    item.write_bytes(b"1")
    reader = os.open(item, os.O_RDONLY)
    try:
        assert copying.take_lease(reader, "item")
        with pytest.raises(BlockingIOError):
            os.open(item, os.O_WRONLY | os.O_NONBLOCK)
    finally:
        os.close(reader)
    writer = os.open(item, os.O_WRONLY | os.O_NONBLOCK)
    try:
        reader = os.open(item, os.O_RDONLY)
        with pytest.raises(SourceUnready, match="item is still open for writing"):
            copying.take_lease(reader, "item")
        os.close(reader)
    finally:
        os.close(writer)


def _receipt(product: Product) -> str:
    with closing(sqlite3.connect(product.root / "var/dropslot.sqlite3")) as database:
        [(body,)] = database.execute("SELECT body FROM dropslot_receipt").fetchall()
    return str(body)
