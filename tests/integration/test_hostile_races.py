"""Senders that change what they sent while it is read: no attempt counts; afterwards it is delivered once, whole."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import faulty
from hostility import SECRET, look_of, plant_outside
from product import STUDY, Product
from racing import again_and_again, growing, replacing, rewriting, shrinking, swapping
from waiting import wait_until

BIG = 8 << 20
SLOWLY = (
    "readv:delay_enter=20000"  # on a machine with much to do a whole item may be read between two changes
)


CHANGES = {"grows": growing, "shrinks": shrinking, "rewritten": rewriting, "replaced": replacing}


@pytest.mark.crash
def test_what_changes_while_it_is_read_is_waited_for_and_then_delivered_once(sqlite_product: Product) -> None:
    product = sqlite_product
    rows = drain_what_changes(product)
    for name, row in rows.items():
        # Seen by what it did, or in the act.
        changed = "was read" in row["reason"][0] and "rename when done" in row["reason"][0]
        named = f"{name}.dat" in row["reason"][0] or (name == "replaced" and ".new" in row["reason"][0])
        assert named and (changed or "is still open for writing" in row["reason"][0]), row["reason"]
        assert "waits" in row["reason"][0]
    deliver_after_changes(product, rows)
    done = product.folder("done")
    assert all((done / n / f"{n}.dat").read_bytes() == product.delivered()[f"{n}.dat"] for n in CHANGES)


@pytest.mark.crash
def test_what_changes_while_it_is_read_in_place_is_seen_by_what_it_did(sqlite_product: Product) -> None:
    """Without a lease, as on a file system that has none: the comparison alone must see it."""
    product = sqlite_product.configure({"study": STUDY | {"leave_source": True}})
    rows = drain_what_changes(product)
    for name, row in rows.items():
        named = f"{name}.dat" in row["reason"][0] or (name == "replaced" and ".new" in row["reason"][0])
        assert named and "was read" in row["reason"][0], row["reason"]
        assert "waits" in row["reason"][0] and "rename when done" in row["reason"][0]
    deliver_after_changes(product, rows)


def drain_what_changes(product: Product) -> dict[str, dict[str, Any]]:
    dropped = {name: product.drop(name, {f"{name}.dat": b"\1" * BIG}) / f"{name}.dat" for name in CHANGES}
    with ExitStack() as stack:
        for name, how in CHANGES.items():
            stack.enter_context(again_and_again(how(dropped[name])))
        assert faulty.drain(product, "readv", SLOWLY).returncode == 1
    rows = {row["name"]: row for row in product.arrivals()}
    assert {row["state"] for row in rows.values()} == {"retrying"}
    assert product.delivered() == {}
    return rows


def deliver_after_changes(product: Product, rows: dict[str, dict[str, Any]]) -> None:
    product.run("retry", *(row["id"] for row in rows.values()))
    product.drain()
    assert set(product.delivered()) - {".new"} == {f"{name}.dat" for name in CHANGES}


def test_folder_swapped_for_a_link_while_it_is_read_leads_nowhere(sqlite_product: Product) -> None:
    product = sqlite_product
    outside = plant_outside(product.root)
    for number in range(40):  # the same names and sizes as inside: only the way there differs
        (outside / "folder" / f"f{number}").write_bytes(SECRET * 4000)
    before = look_of(outside)
    mine = {f"inner/f{number}": b"m" * len(SECRET) * 4000 for number in range(40)}
    names = [f"swapped{number}" for number in range(2)]
    with ExitStack() as stack:
        for name in names:
            folder = product.drop(name, mine | {"last": b"1"})
            (folder / "link").symlink_to(outside / "folder")
            stack.enter_context(again_and_again(swapping(folder, "inner", "link")))
        product.drain(status=1)
    assert {row["state"] for row in product.arrivals()} <= {"retrying", "failed"}
    assert product.delivered() == {}
    stored = [path.read_bytes() for path in product.studies.rglob("*") if path.is_file()]
    assert not any(SECRET in data for data in stored)
    assert look_of(outside) == before


@pytest.mark.crash
def test_upload_that_starts_again_under_the_same_name_is_delivered_as_its_last(
    sqlite_product: Product,
) -> None:
    product = sqlite_product.configure({"study": STUDY | {"settle": "1s"}})
    target = product.folder("inbox") / "scan.dat"
    process = product.start("start_observer")
    wait_until(
        lambda: "NOTFINISHED" in _log(product) or _touch(target, b"first half"), what="it to be noticed"
    )
    with again_and_again(lambda times: target.write_bytes(b"first try %d" % times)):
        assert product.arrivals() == []
    target.unlink()
    target.write_bytes(b"second try, whole")
    product.wait_for_state("scan.dat", "done")
    assert product.delivered() == {"scan.dat": b"second try, whole"}
    assert len(product.arrivals()) == 1
    process.terminate()
    assert process.wait(60) == 0


def _touch(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    return False


def _log(product: Product) -> str:
    return (product.root / "start_observer.log").read_text()


@pytest.mark.crash
def test_same_names_at_once_in_several_inboxes_and_processes_are_all_delivered_once(product: Product) -> None:
    rule = STUDY | {"deliver": [{"to": "./studies"}]}
    product.configure({"one": rule | {"folders": "./one"}, "two": rule | {"folders": "./two"}})
    for number in range(12):
        for route in ("one", "two"):
            product.drop(f"scan{number}.dat", f"{route} {number}".encode(), route=route)
    drains = [
        subprocess.Popen(
            product.command("drain", "--now"), env=product.environment, cwd=product.root, stdout=-3
        )
        for _ in range(3)
    ]
    for drain in drains:
        drain.wait(60)
    product.drain()
    delivered = product.delivered()
    wanted = sorted(f"{route} {number}".encode() for route in ("one", "two") for number in range(12))
    assert sorted(delivered.values()) == wanted
    assert set(delivered) == {f"scan{n}{v}.dat" for n in range(12) for v in ("", ".v2")}
    history = product.history()
    assert len(history) == len({row["stored_as"] for row in history}) == 24
    assert not any(product.held(route) for route in ("one", "two"))
