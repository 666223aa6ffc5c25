"""Several watchers on one inbox: one acts, another takes over; nothing is taken twice. Two installations on one inbox
are refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from databases import Database
from dropslot.arrivals.upkeep import markers
from dropslot.arrivals.workers import ownership
from dropslot.config.load_config import load
from dropslot.config.route_folders import all_folders
from product import STUDY, Product
from waiting import wait_until

Make = Callable[..., Product]
NOBODY = markers.Mark("", "", "")


@pytest.fixture
def pair(make_product: Make, postgres_url: str) -> tuple[Product, Product]:
    """Two machines with one database and one set of folders; each has its own data folder."""
    first, second = make_product(postgres_url), make_product(postgres_url)
    first.configure(settled(first))
    second.configure(settled(first))
    share_keys(first, second)
    return first, second


def share_keys(first: Product, second: Product) -> None:
    """The machines of one installation sign with one key."""
    first.drop("first", {"a": b"0"})
    first.drain()  # makes the key
    shutil.copytree(first.root / "var/keys", second.root / "var/keys", dirs_exist_ok=True)


def test_two_machines_that_sign_with_different_keys_are_refused(
    make_product: Make, postgres_url: str
) -> None:
    """Before anything is delivered, and with what the newest receipt says."""
    first, second = make_product(postgres_url), make_product(postgres_url)
    second.configure(settled(first))
    first.drain()  # there is nothing to deliver
    for command in (("run",), ("drain",), ("sentinel",)):
        told = second.run(*command, status=1).stderr
        assert "the key that the receipts" in told and str(second.root / "var/keys") in told
    assert not (second.root / "var/keys/receipt_ed25519").exists()
    shutil.copytree(first.root / "var/keys", second.root / "var/keys", dirs_exist_ok=True)
    second.drain()
    # The key of the first machine is lost, and its public part is known: both go on with a new one.
    for machine in (first, second):
        (machine.root / "var/keys/receipt_ed25519").unlink()
    (first.root / "study/inbox/one").mkdir()
    (first.root / "study/inbox/one/a").write_bytes(b"1")
    second.drain()
    assert "the key that the receipts" in first.run("drain", status=1).stderr
    shutil.copytree(second.root / "var/keys", first.root / "var/keys", dirs_exist_ok=True)
    first.drain()
    assert "OK" in first.run("verify").stdout


def settled(of: Product, **more: Any) -> dict[str, dict[str, Any]]:
    return {
        "study": STUDY
        | {
            "folders": str(of.root / "study"),
            "settle": "1s",
            "rescan": "1s",
            "deliver": [{"to": str(of.studies)}],
        }
        | more
    }


def who_acts(product: Product) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(product.run("watcher_status", "--json", status=None).stdout)[
        "inboxes"
    ][0]
    return found


def start(product: Product, clock: str = "") -> subprocess.Popen[str]:
    """On a machine whose clock differs so much; files have the times of their server."""
    if not clock:
        return product.start("start_observer")
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return product.start(
        "start_observer",
        LD_PRELOAD=str(library),
        FAKETIME=clock,
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        NO_FAKE_STAT="1",
    )


def watch(product: Product, clock: str = "") -> int:
    """Start it; returns the pid of its watching process."""
    service = start(product, clock)

    def child() -> int | None:
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
        running = json.loads(product.run("watcher_status", "--json", status=None).stdout)
        pids = [int(pid) for pid in children]
        words = " ".join([str(running["inboxes"][0]["acts"]), *running["inboxes"][0]["stand_by"]])
        return next((pid for pid in pids if f"(pid {pid})" in words), None)

    pid = wait_until(child, what="a watcher that acts or stands by")
    assert pid is not None
    return pid


def pid_of(words: str | None) -> int | None:
    return int(words.rpartition("pid ")[2].rstrip(")")) if words else None


@pytest.mark.crash
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_watcher_that_is_killed_or_frozen_is_replaced(pair: tuple[Product, Product], how: int) -> None:
    """Their clocks are ten minutes apart."""
    first, second = pair
    service = start(first, "-300s")
    acting = wait_until(lambda: pid_of(who_acts(second)["acts"]), what="a watcher that acts") or 0
    standing_by = watch(second, "+300s")
    first.drop("before", {"a": b"1"})
    first.wait_for_state("before", "done")
    assert [pid_of(one) for one in who_acts(second)["stand_by"]] == [standing_by]
    if how == signal.SIGKILL:
        os.killpg(service.pid, how)  # the machine is gone, as far as the other one sees
    else:
        os.kill(acting, how)
    first.drop("after", {"a": b"2"})
    wait_until(lambda: pid_of(who_acts(second)["acts"]) == standing_by, what="the takeover")
    second.wait_for_state("after", "done")
    if how == signal.SIGSTOP:
        os.kill(acting, signal.SIGCONT)
        wait_until(
            lambda: [pid_of(one) for one in who_acts(second)["stand_by"]] == [acting], what="standing by"
        )
        assert (
            f"No longer acts on the inbox {first.folder('inbox')}"
            in (first.root / "start_observer.log").read_text()
        )
        first.drop("last", {"a": b"3"})
        second.wait_for_state("last", "done")
    names = [row["name"] for row in second.history()]
    assert len(names) == len(set(names))
    assert "OK" in second.run("verify").stdout


def test_two_installations_with_one_inbox_are_refused_by_name(make_product: Make) -> None:
    first, second = make_product(), make_product()
    first.drop("a", {"x": b"1"})
    first.drain()
    one = read_id(first)
    for folders in (
        {"folders": str(first.root / "study")},
        {"folders": "./study", "inbox": str(first.folder("inbox"))},  # a processing folder of its own
    ):
        second.configure({"study": STUDY | folders})
        first.drop("b", {"x": b"2"})
        for command in ("drain", "start_observer"):
            refused = second.run(command, status=1).stderr
            assert one in refused and read_id(second) in refused and str(first.root / "var") in refused
            assert "f the other one no longer exists" in refused
        assert one in second.run("doctor", status=1).stdout
        assert one in second.run("health", status=1).stdout
        assert (first.folder("inbox") / "b").exists()
        first.drain()
    assert first.run("doctor", status=None).stdout.count("another installation") == 0


def read_id(product: Product) -> str:
    return (product.root / "var/installation").read_text().strip()


def test_a_copy_of_an_installation_is_refused_while_the_other_is_at_work_and_a_restored_one_starts(
    sqlite_product: Product, make_product: Make
) -> None:
    sqlite_product.drop("a", {"x": b"1"})
    sqlite_product.drain()
    backup = make_product(has_tables=False)
    backup.configure(settled(sqlite_product))
    shutil.copytree(sqlite_product.root / "var", backup.root / "var")
    watch(sqlite_product)
    assert read_id(backup) == read_id(sqlite_product)
    refused = backup.run("start_observer", status=1).stderr
    assert "one of both is a copy of the other" in refused and str(sqlite_product.root / "var") in refused
    assert sqlite_product.drain().stdout  # its own drain may run beside it
    sqlite_product.close()
    shutil.rmtree(sqlite_product.root / "var")  # lost with its machine; the backup is put elsewhere
    sqlite_product.drop("b", {"x": b"2"})
    assert watch(backup)
    backup.wait_for_state("b", "done")


def test_a_database_that_is_lost_is_made_anew_for_the_same_installation(sqlite_product: Product) -> None:
    sqlite_product.drop("a", {"x": b"1"})
    sqlite_product.drain()
    before = read_id(sqlite_product)
    for file in (sqlite_product.root / "var").glob("dropslot.sqlite3*"):
        file.unlink()
    sqlite_product.run("rebuild", status=None)
    sqlite_product.drain(status=None)
    assert read_id(sqlite_product) == before
    shutil.rmtree(sqlite_product.root / "var")  # and all that is in the data folder
    sqlite_product.drop("b", {"x": b"2"})
    sqlite_product.drain(status=None)
    assert read_id(sqlite_product) == before


def test_a_watcher_that_a_copy_replaced_while_it_was_frozen_leaves_the_inbox_to_it(
    sqlite_product: Product, sqlite_database: Database
) -> None:
    """The copy's watcher is not known to this database, and touches the marker."""
    config = load(sqlite_product.config)
    [folders] = all_folders(config)
    path = markers.path_of(folders)
    beats = ownership.Beats(config, markers.identity(config), "here.1:1:a")
    assert beats.are_ours(folders, acts=True, other="")
    markers.write(folders, replace(markers.read(folders) or NOBODY, watcher="there.2:2:b"))
    for moment in range(5):
        os.utime(path, (moment, moment))
        assert not beats.are_ours(folders, acts=True, other="")
    assert [beats.are_ours(folders, acts=True, other="") for _ in range(3)] == [False, False, True]
    mark = markers.read(folders)
    assert mark and mark.watcher == "here.1:1:a"
    markers.write(folders, replace(mark, installation="01KANOTHER0000000000000000"))
    assert not beats.are_ours(folders, acts=True, other="")
