# mypy: disable-error-code="func-returns-value"
"""Full, read-only and missing disks, a database that is locked or full, clocks that jump: all of it heals by itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mounts import Mounts
from people import program
from product import STUDY, Product
from waiting import wait_until

HOUR = 3600


def database_of(product: Product) -> Path:
    return product.root / "var/dropslot.sqlite3"


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Write until the file system of `folder` has no more than `leave` bytes free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        while (free := os.statvfs(folder).f_bavail * 4096 - leave) > 0:
            if not out.write(b"\0" * min(free, 1 << 20)):
                break
    return filler


@dataclass(frozen=True)
class Trouble:
    """A destination that cannot be written now, what its arrivals say of it, and what heals it."""

    to: Path
    tree: dict[str, bytes]
    words: tuple[str, ...]
    heal: Callable[[], object]


def full(mounts: Mounts) -> Trouble:
    disk = mounts.tmpfs("8m")
    filler = fill(disk, leave=1 << 20)
    return Trouble(
        disk, {"big.dat": b"1" * (3 << 20), "small.dat": b"2"}, ("are free", "Free space"), filler.unlink
    )


def without_inodes(mounts: Mounts) -> Trouble:
    disk = mounts.tmpfs("8m", "nr_inodes=30")
    others = [disk / f"other{number}" for number in range(20)]
    for path in others:
        path.touch()
    tree = {f"f{number}": b"1" for number in range(12)}
    return Trouble(disk, tree, ("inodes are free", "Free space"), lambda: [path.unlink() for path in others])


def read_only(mounts: Mounts) -> Trouble:
    disk = mounts.tmpfs("8m")
    mounts.remount(disk, "ro")
    return Trouble(
        disk, {"a": b"1"}, ("Read-only", "Mount the file system"), lambda: mounts.remount(disk, "rw")
    )


def unmounted(mounts: Mounts) -> Trouble:
    disk = mounts.ext4("16M")
    (disk / "studies").mkdir()
    mounts.unmount(disk)
    [image] = disk.parent.glob("image*")

    def mount() -> None:
        assert not os.listdir(disk), "the folder below the mount was written to"
        mounts.again(image, disk)

    return Trouble(disk / "studies", {"a": b"1"}, ("does not exist", "Mount its disk"), mount)


def test_destinations_that_cannot_be_written_are_waited_for_told_and_delivered_to_once_they_heal(
    sqlite_product: Product, mounts: Mounts
) -> None:
    """Full, out of inodes, read-only, not mounted: each arrival waits for its own, and holds up no other."""
    product = sqlite_product
    troubles = {made.__name__: made(mounts) for made in (full, without_inodes, read_only, unmounted)}
    rules = {key: {"deliver": [{"to": str(trouble.to)}]} for key, trouble in troubles.items()}
    product.configure(
        {key: STUDY | {"folders": f"./{key}"} | rule for key, rule in (rules | {"well": {}}).items()}
    )
    for key, trouble in troubles.items():
        product.drop("s", trouble.tree, route=key)
    product.drop("well", b"1", route="well")
    told = product.drain(status=1).stdout
    assert product.delivered() == {"well": b"1"}
    rows = {row["route"]: row for row in product.listing("arrivals", "--state", "retrying")}
    pending = {row["route"]: row for row in product.listing("pending")}
    for key, trouble in troubles.items():
        assert pending[key]["where"] == "processing" and pending[key]["next_attempt_at"]
        for word in (*trouble.words, "retried"):
            assert word in told and word in rows[key]["reason"][0] and word in pending[key]["reason"][0]
        trouble.heal()
    product.run("retry", *(row["id"] for row in rows.values()))
    product.drain()
    history = [
        (row["route"], row["item"], row["outcome"]) for row in product.history() if row["route"] != "well"
    ]
    wanted = [(key, item, "delivered") for key, trouble in troubles.items() for item in trouble.tree]
    assert sorted(history) == sorted(wanted)
    for key, trouble in troubles.items():
        assert {name: (trouble.to / name).read_bytes() for name in trouble.tree} == trouble.tree
        assert os.listdir(product.folder("done", key)) == ["s"]
        assert not product.held(key)


def test_full_file_system_of_the_inbox_loses_nothing_and_holds_up_nobody(
    make_product: Callable[..., Product], mounts: Mounts
) -> None:
    """No inode is left: nothing can be claimed, no REASON.txt be written."""
    product = make_product()
    slot = mounts.tmpfs("8m", "nr_inodes=40")
    strict = STUDY | {"folders": str(slot), "select": {"patterns": ["*.txt"]}}
    product.configure({"study": strict})
    for name in ("inbox", "processing", "done", "failed"):
        (slot / name).mkdir(mode=0o700)
    (slot / "inbox/good.txt").write_bytes(b"1")
    (slot / "inbox/refused.exe").write_bytes(b"2")
    more = _take_all_inodes(slot)
    product.drain(status=None)
    assert sorted(os.listdir(slot / "inbox")) == ["good.txt", "refused.exe"]
    for path in more[:3]:  # room for the marker and the claims, none for the reason
        path.unlink()
    product.drain(status=1)
    assert product.delivered() == {"good.txt": b"1"}
    assert {row["state"] for row in product.arrivals()} == {"done", "failed"}
    for path in more[3:]:
        path.unlink()
    product.drain()
    [failed] = os.listdir(slot / "failed")
    assert sorted(os.listdir(slot / "failed" / failed)) == ["REASON.txt", "refused.exe"]
    assert os.listdir(slot / "done") == ["good.txt"] and not list((slot / "processing").glob("[!.]*"))


def _take_all_inodes(folder: Path) -> list[Path]:
    taken: list[Path] = []
    while True:
        path = folder / f"taken{len(taken)}"
        try:
            path.touch()
        except OSError:
            return taken
        taken.append(path)


def test_full_disk_of_the_database_loses_nothing(
    make_product: Callable[..., Product], mounts: Mounts
) -> None:
    product = make_product()
    disk = mounts.tmpfs("4m")
    product.configure(data=str(disk / "var"))
    product.drop("first", {"a.dat": b"1"})
    product.drain()
    for number in range(3):
        product.drop(f"s{number}", {f"b{number}.dat": b"1"})
    filler = fill(disk)
    ended = product.drain(status=1)
    assert "Traceback" not in ended.stderr
    assert "full" in ended.stderr and "inboxes keep" in ended.stderr
    assert set(product.delivered()) == {"a.dat"}
    filler.unlink()
    product.drain()
    assert set(product.delivered()) == {"a.dat", "b0.dat", "b1.dat", "b2.dat"}
    assert sorted(row["state"] for row in product.arrivals()) == ["done"] * 4
    assert "OK" in product.run("verify").stdout


def test_log_that_cannot_be_written_stops_no_delivery(sqlite_product: Product) -> None:
    product = sqlite_product
    product.drop("s", b"1")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            product.command("drain", "--now"),
            env=product.environment,
            cwd=product.root,
            stderr=full,
            check=False,
        )
    assert done.returncode in (0, 120), "120: the interpreter could not empty its own buffer at the end"
    assert product.delivered() == {"s": b"1"} and os.listdir(product.folder("done")) == ["s"]


@contextmanager
def locked(product: Product) -> Iterator[None]:
    """Another program holds the write lock of the database."""
    with closing(sqlite3.connect(database_of(product), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def daemon_product(sqlite_product: Product) -> Iterator[Product]:
    """A product whose daemon runs, and is stopped however the test ends."""
    sqlite_product.run("start_watcher")
    yield sqlite_product
    sqlite_product.run("stop_watcher", status=None)


def test_locked_database_delays_and_loses_nothing(daemon_product: Product) -> None:
    """Claims are made meanwhile; a kill in that time loses none of them either."""
    product = daemon_product
    pid = int((product.root / "var/watcher.pid").read_text().split()[0])
    with locked(product):
        for number in range(3):
            product.drop(f"s{number}", f"{number}".encode())
        taken = lambda: len(product.held()) == 3  # noqa: E731
        wait_until(taken, what="the claims, which need no database")
        assert product.arrivals() == [], "nothing is recorded while it is locked"
        os.kill(pid, 9)
        product.drop("s3", b"3")
    product.run("start_watcher")
    wait_until(lambda: len(set(os.listdir(product.studies)) - {".dropslot"}) == 4, what="all to be delivered")
    with locked(product):
        product.drop("s4", b"4")
        wait_until(lambda: not os.listdir(product.folder("inbox")), what="the claim")
    product.wait_for_state("s4", "done")
    assert product.delivered() == {f"s{n}": f"{n}".encode() for n in range(5)}
    assert len(product.history()) == 5


def test_corrupt_newer_and_unreadable_databases_are_named_and_touch_no_inbox(sqlite_product: Product) -> None:
    product = sqlite_product
    product.drop("first", b"1")
    product.drain()
    product.drop("second", b"2")
    file = database_of(product)
    sound = file.read_bytes()
    corrupt = bytearray(sound)
    corrupt[4096 : len(sound)] = b"\x5a" * (len(sound) - 4096)  # the header is well, the tables are not
    file.write_bytes(corrupt)
    for command in (("drain", "--now"), ("start_watcher",)):
        told = product.run(*command, status=1).stderr
        assert "corrupt" in told and "backup" in told and "Traceback" not in told
    file.write_bytes(sound)
    with closing(sqlite3.connect(file)) as database:
        row = "('dropslot_arrivals', '0999_future', '2030-01-01')"
        database.execute(f"INSERT INTO django_migrations (app, name, applied) VALUES {row}")
        database.commit()
    for command in (("drain", "--now"), ("start_watcher",)):
        assert "newer version" in product.run(*command, status=1).stderr
    assert os.listdir(product.folder("inbox")) == ["second"]
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM django_migrations WHERE name = '0999_future'")
        database.commit()
    product.drain()
    assert set(product.delivered()) == {"first", "second"}


def test_mistakes_in_the_configuration_end_every_command_with_status_2(sqlite_product: Product) -> None:
    product = sqlite_product
    product.drop("s", b"1")
    product.config.write_text("routes:\n  study:\n    folder: ./study\n    settle: soon\n    deliver: []\n")
    for command in (("drain", "--now"), ("arrivals",), ("start_watcher",), ("doctor",)):
        told = product.run(*command, status=2).stderr
        assert "folder" in told and "settle" in told and "deliver" in told and "Traceback" not in told
    assert os.listdir(product.folder("inbox")) == ["s"]


# Clocks

# Our seam: the clock of this process stands an hour off; ids are made by it.
SHIFTED = """
import os, time
from datetime import datetime, timedelta, UTC
from dropslot.arrivals.intake import claim
from ulid import ULID
shift = timedelta(seconds=float(os.environ.get("TEST_SHIFT_SECONDS", "0")))
claim.new_id = lambda: str(ULID.from_datetime(datetime.now(UTC) + shift))
from dropslot.cli import main
main()
"""


def test_clock_set_back_an_hour_hides_and_delays_nothing(make_product: Callable[..., Product]) -> None:
    usual = program()
    product = make_product(how=replace(usual, command=(usual.command[0], "-c", SHIFTED)))
    product.configure({"study": STUDY | {"select": {"patterns": ["*.txt"]}}})
    product.drop("before.txt", b"1")
    product.drain(TEST_SHIFT_SECONDS=str(HOUR))
    product.drop("after.txt", b"2")
    product.drop("refused.exe", b"3")
    ended = product.drain(status=1)
    assert ended.stdout.startswith("1 delivered, 1 failed") and "refused.exe" in ended.stdout
    rows = product.listing("arrivals", "--state", "done")
    assert {row["name"] for row in rows} == {"before.txt", "after.txt"}
    assert "OK" in product.run("verify").stdout


def test_attempt_and_lease_written_by_a_clock_that_ran_ahead_are_not_waited_for(
    sqlite_product: Product,
) -> None:
    """What was due in a minute is due in an hour and a minute when the clock is set back; the worker is dead."""
    product = sqlite_product
    product.drop("retrying", b"1")
    product.studies.rmdir()
    product.drain(status=1)
    product.studies.mkdir()
    with closing(sqlite3.connect(database_of(product))) as database:
        database.execute("UPDATE dropslot_arrival SET due_at = datetime('now', '+61 minutes')")
        database.commit()
    product.drain()
    assert product.delivered() == {"retrying": b"1"}


def test_monotonic_clock_that_starts_anew_with_the_machine_matters_to_nothing(
    sqlite_product: Product,
) -> None:
    """A reboot: CLOCK_MONOTONIC and CLOCK_BOOTTIME are behind what they were when the arrival failed."""
    product = sqlite_product
    usual = product.how
    product.drop("s", b"1")
    product.studies.rmdir()
    clocks = ("unshare", "--time", "--boottime", "900000", "--monotonic", "900000", "--")
    product.how = replace(usual, command=(*clocks, *usual.command))
    product.drain(status=1)
    product.how = usual
    product.studies.mkdir()
    product.run("retry", product.arrivals()[0]["id"])
    product.drop("t", b"2")
    product.drain()
    assert product.delivered() == {"s": b"1", "t": b"2"}
