"""Trying the watcher: folders that are named test… are noticed and logged, and nothing is imported."""

from __future__ import annotations

from dicom.images import series
from dicom.test_import import route
from product import Product
from waiting import wait_until


def test_names_for_tests_are_logged_and_stay_in_the_inbox(sqlite_product: Product) -> None:
    product = sqlite_product.configure(route())
    inbox, log = product.folder("inbox"), product.root / "var" / "watcher.out"
    try:
        product.run("start_watcher", "--test")
        product.drop("test_finished", series(1))
        product.drop("test_notfinished.tmp1234", series(1))
        wait_until(lambda: "2|NOTFINISHED: " in log.read_text())
        (inbox / "test_notfinished.tmp1234").rename(inbox / "Test_nowfinished")
        product.drop("visit1", series(1))
        product.wait_for_state("visit1", "done")
        wait_until(lambda: log.read_text().count("2|FINISHED: ") == 3)
    finally:
        product.run("stop_watcher")
    said = [line for line in log.read_text().splitlines() if "visit1" not in line and "|" in line]
    assert sorted(said) == [
        f"1|MOVEDTO EVENT: {inbox}/Test_nowfinished",
        f"1|MOVEDTO EVENT: {inbox}/test_finished",
        f"1|MOVEDTO EVENT: {inbox}/test_notfinished.tmp1234",
        f"2|FINISHED: {inbox}/Test_nowfinished",
        f"2|FINISHED: {inbox}/test_finished",
        f"2|NOTFINISHED: {inbox}/test_notfinished.tmp1234",
    ]
    product.run("drain", "--test")
    assert sorted(path.name for path in inbox.iterdir()) == ["Test_nowfinished", "test_finished"]
    assert [row["name"] for row in product.arrivals()] == ["visit1"]
    product.drain()
    assert [row["state"] for row in product.arrivals()] == ["done"] * 3
