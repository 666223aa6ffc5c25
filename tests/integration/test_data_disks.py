"""The disk of the data folder: read-only, full, broken, away. Each command says which, and what to do about it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dropslot.files.children import in_child
from dropslot.running import board
from mounts import Mounts
from people import Person, Program
from product import STUDY, Product

LISTINGS = [
    ("history", "--json"),
    ("arrivals", "--json"),
    ("events", "--json"),
    ("pending",),
    ("uploads",),
    ("latest", "study"),
    ("acknowledgments",),
    ("log_readers",),
    ("verify", "--fixity"),
    ("purge", "--older-than", "0s", "--dry-run"),
]
CHANGING = [
    ("drain", "--now"),
    ("run",),
    ("retry", "01"),
    ("purge", "--older-than", "1d"),
    ("start_observer",),
]


@pytest.fixture
def on_a_disk(make_product: Callable[..., Product], mounts: Mounts) -> tuple[Product, Path]:
    """A product whose data folder is on a disk of its own, with one delivery."""
    disk = mounts.ext4("32M")
    product = make_product()
    product.configure(data=str(disk / "var"))
    product.drop("one", {"scan.txt": b"1"})
    product.drain()
    return product, disk


def test_a_read_only_disk_is_named_and_listings_read_it(
    on_a_disk: tuple[Product, Path], mounts: Mounts
) -> None:
    product, disk = on_a_disk
    mounts.remount(disk, "ro")
    for command in LISTINGS:
        product.run(*command)
    (row,) = product.history()
    assert row["item"] == "scan.txt"
    for command in CHANGING:
        told = product.run(*command, status=1).stderr
        assert "read-only" in told and f"remount,rw {disk}" in told
        assert "run it as" not in told and "account" not in told
    assert f"remount,rw {disk}" in product.run("doctor", status=1).stdout


def test_a_read_only_disk_with_a_log_that_was_not_folded_in_is_read_whole(
    on_a_disk: tuple[Product, Path], mounts: Mounts
) -> None:
    product, disk = on_a_disk
    file = disk / "var/dropslot.sqlite3"
    # As after a power cut: what is committed is in the log alone, and nobody has an index of it.
    held = sqlite3.connect(file)
    held.execute("PRAGMA wal_autocheckpoint=0")
    held.execute("UPDATE dropslot_arrival SET location = 'from the log'")
    held.commit()
    saved = {path: path.read_bytes() for path in (file, file.with_name(f"{file.name}-wal"))}
    held.close()
    for path, content in saved.items():
        path.write_bytes(content)
    mounts.remount(disk, "ro")
    (row,) = product.history()
    assert row["location"] == "from the log"


def test_a_full_disk_is_named(make_product: Callable[..., Product], mounts: Mounts) -> None:
    product = make_product()
    disk = mounts.tmpfs("4m")
    product.configure({"study": STUDY | {"name": "never"}}, data=str(disk / "var"))
    product.drop("one", {"scan.txt": b"1"})
    product.drain(status=1)
    fill(disk)
    told = product.run("retry", "01", status=1).stderr
    assert "full" in told and "df" in told
    assert "run it as" not in told and "Traceback" not in told
    assert [row["state"] for row in product.arrivals()] == ["failed"]


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return


def test_a_missing_disk_is_not_taken_for_a_new_installation(
    make_product: Callable[..., Product], open_folder: Path
) -> None:
    product = make_product().configure(data=str(open_folder / "not/mounted/var"))
    told = product.run("drain", "--now", status=1).stderr
    assert f"{open_folder / 'not'} is missing" in told and "mount its disk" in told
    assert not (open_folder / "not").exists()


@pytest.mark.parametrize("kind", ["loop", "nowhere", "file"])
def test_what_is_in_the_way_of_the_data_folder_is_named(
    make_product: Callable[..., Product], kind: str
) -> None:
    product = make_product(has_tables=False)
    data = product.root / "var"
    if kind == "file":
        data.write_bytes(b"")
    else:
        data.symlink_to(data if kind == "loop" else product.root / "away/var")
    told = product.run("drain", "--now", status=1).stderr
    assert str(data) in told and "run it as" not in told and "Traceback" not in told
    assert ("is not a folder" if kind == "file" else "a link to nothing") in told


def test_a_folder_that_its_own_account_closed_is_named(
    make_product: Callable[..., Product],
    open_folder: Path,
    program_for_everybody: Program,
    service_user: Person,
) -> None:
    product = make_product(root=open_folder / "product", how=program_for_everybody)
    product.run("arrivals")
    service_user.owns(product.root, *product.root.rglob("*"))
    (product.root / "var").chmod(0o500)
    told = product.run("drain", "--now", status=1, as_person=service_user).stderr
    assert f"chmod u+rwX {product.root / 'var'}" in told
    product.run("history", as_person=service_user)
    os.chmod(product.root / "var", 0o000)
    told = product.run("history", status=1, as_person=service_user).stderr
    assert f"chmod u+rwX {product.root / 'var'}" in told


def test_a_disk_that_is_full_at_the_start_takes_no_count_and_ends_no_process(mounts: Mounts) -> None:
    """A page of a mapped file without a block on the disk would end its process with SIGBUS."""
    disk = mounts.tmpfs("64k")
    (disk / "processes").mkdir()
    with suppress(OSError), (disk / "full").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            continue

    def count() -> None:
        with board.joined(disk, "worker-1"):
            board.mine().end(board.mine().begin(), 3)

    in_child(count)  # raises ChildDied
    assert not any(seen.pid for seen in board.look(disk))
    (disk / "full").unlink()
    with board.joined(disk, "worker-1"):
        board.mine().end(board.mine().begin(), 3)
        [seen] = board.look(disk)
        assert (seen.name, seen.pid, seen.counts.arrivals) == ("worker-1", os.getpid(), 3.0)
