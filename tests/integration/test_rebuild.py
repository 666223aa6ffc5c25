"""A database that was lost, or put back from an older backup: noticed, and made again from manifests and receipts."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from losing import Losing
from product import STUDY, Product, read_tree
from sshd import Sshd

ONE, TWO, THREE = {"scan.txt": b"one"}, {"scan.txt": b"two!"}, {"scan.txt": b"three"}


def test_a_lost_database_is_an_alarm_and_rebuild_knows_all_again(losing: Losing) -> None:
    product = losing.product
    losing.deliver("a", ONE | {"sub/scan.v2.txt": b"own name", "b.nii.gz": b"x"})
    losing.deliver("b", TWO)
    losing.deliver("c", ONE)
    before, files = losing.ledger(), read_tree(product.studies, hidden=())
    losing.lose(has_tables=False)
    told = product.run("verify", "--fixity", status=1).stdout
    assert "FAULT database: The database is empty" in told and "dropslot rebuild" in told
    assert "dropslot rebuild" in product.run("doctor", status=1).stdout
    assert "dropslot rebuild" in product.drain().stderr
    assert "3 arrivals" in product.run("rebuild").stdout
    assert losing.ledger() == before
    assert read_tree(product.studies, hidden=()) == files
    assert "OK" in product.run("verify", "--fixity").stdout
    assert "rebuild" not in product.drain().stderr
    assert losing.deliver("d", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert losing.deliver("e", THREE) == [("scan.v3.txt", 3, "delivered")]
    (newest,) = [row for row in product.listing("latest", "study") if row["item"] == "scan.txt"]
    assert newest["stored_as"] == "scan.v3.txt"
    events = product.listing("events")
    assert events[0]["kind"] == "rebuild" and events[0]["data"]["newest_head_in_receipts"]["seq"] > 0
    assert [event["kind"] for event in events[1:4]] == ["rebuilt"] * 3


@pytest.mark.sqlite_only
def test_rebuild_without_the_data_folder_reads_the_manifests(losing: Losing) -> None:
    losing.deliver("a", ONE)
    losing.deliver("b", TWO)
    before = {(row[0], *row[3:12]) for row in losing.ledger()}
    losing.lose()
    shutil.rmtree(losing.product.root / "var")
    assert "dropslot rebuild" in losing.product.run("verify", status=1).stdout
    losing.product.run("rebuild")
    assert {(row[0], *row[3:12]) for row in losing.ledger()} == before
    assert {row[1] for row in losing.ledger()} == {"unknown"}
    losing.product.run("verify", "--fixity")
    assert losing.deliver("c", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert losing.deliver("d", ONE) == [("scan.txt", 1, "unchanged")]


def test_an_older_database_gets_what_it_lacks(losing: Losing) -> None:
    product = losing.product
    losing.deliver("a", ONE)
    losing.save()
    losing.deliver("b", TWO)
    before = losing.ledger()
    losing.put_back()
    told = product.run("verify", status=1).stdout
    assert "does not know" in told and "dropslot rebuild" in told
    # Work goes on meanwhile, and the alarm stays.
    assert losing.deliver("c", THREE) == [("scan.v3.txt", 3, "delivered")]
    assert losing.deliver("d", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert "dropslot rebuild" in product.drain().stderr
    product.run("rebuild")
    assert before <= losing.ledger()
    ledger = losing.ledger()
    product.run("rebuild")
    assert losing.ledger() == ledger
    product.run("verify", "--fixity")
    assert losing.deliver("e", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert losing.deliver("f", {"scan.txt": b"four"}) == [("scan.v4.txt", 4, "delivered")]
    assert read_tree(product.studies) == {
        "scan.txt": b"one",
        "scan.v2.txt": b"two!",
        "scan.v3.txt": b"three",
        "scan.v4.txt": b"four",
    }


def test_manifests_alone_show_that_a_data_folder_is_older(sqlite_product: Product) -> None:
    losing = Losing(sqlite_product)
    losing.deliver("a", ONE)
    shutil.copytree(sqlite_product.root / "var", sqlite_product.root / "saved")
    losing.deliver("b", TWO)
    manifests = sqlite_product.studies / ".dropslot/manifests"
    shutil.rmtree(sqlite_product.root / "var")
    (sqlite_product.root / "saved").rename(sqlite_product.root / "var")
    later = os.stat(manifests).st_mtime + 60
    os.utime(manifests, (later, later))
    assert "another installation" in sqlite_product.drain().stderr
    sqlite_product.run("verify", status=1)
    sqlite_product.run("rebuild")
    sqlite_product.run("verify", "--fixity")
    assert losing.deliver("c", TWO) == [("scan.v2.txt", 2, "unchanged")]


@pytest.mark.sqlite_only
def test_what_was_refused_after_the_backup_can_be_retried(losing: Losing) -> None:
    product = losing.product
    product.configure({"study": STUDY | {"select": {"patterns": ["*.txt"]}}})
    losing.deliver("a", ONE)
    losing.save()
    product.drop("bad", {"x.exe": b"1"})
    product.drain(status=1)
    (refused,) = product.arrivals("--state", "failed")
    for name in (".DS_Store", ".REASON.txt", "Thumbs.db", "._bad", "$RECYCLE.BIN", "desktop.ini"):
        (product.folder("failed") / refused["id"] / name).write_bytes(b"left by a file manager")
    losing.put_back()
    product.run("rebuild")
    (found,) = product.arrivals("--state", "failed")
    assert (found["id"], found["name"], found["reason"]) == (refused["id"], "bad", refused["reason"])
    product.configure()
    product.run("retry", found["id"])
    product.drain()
    assert product.delivered()["x.exe"] == b"1"


@pytest.mark.parametrize("manifest", ["none", "beside"])
@pytest.mark.parametrize("lost", ["database", "data folder"])
def test_targets_without_hidden_manifests(sqlite_product: Product, manifest: str, lost: str) -> None:
    losing = Losing(sqlite_product)
    sqlite_product.configure(
        {
            "study": STUDY
            | {"deliver": [{"to": "./studies/{sent}", "manifest": manifest}], "name": "(?P<sent>.)-.*"}
        }
    )
    losing.deliver("s-1", ONE | {"two.txt": b"2"})
    losing.deliver("s-2", TWO)
    losing.deliver("t-3", ONE)
    before = {(row[4], row[5], row[8], row[10]) for row in losing.ledger()}
    losing.lose()
    if lost == "data folder":
        shutil.rmtree(sqlite_product.root / "var")
    sqlite_product.run("rebuild")
    found = {(row[4], row[5], row[8], row[10]) for row in losing.ledger()}
    assert found == before or (manifest == "none" and lost == "data folder" and found < before)
    ledger = losing.ledger()
    sqlite_product.run("rebuild")
    assert losing.ledger() == ledger
    assert losing.deliver("s-4", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert losing.deliver("s-5", ONE) == [("scan.txt", 1, "unchanged")]
    assert losing.deliver("s-6", THREE) == [("scan.v3.txt", 3, "delivered")]


def test_what_was_there_before_dropslot_stays_version_1(sqlite_product: Product) -> None:
    losing = Losing(sqlite_product)
    (sqlite_product.studies / "scan.txt").write_bytes(b"before")
    assert losing.deliver("a", ONE) == [("scan.v2.txt", 2, "delivered")]
    losing.lose()
    sqlite_product.run("rebuild")
    assert losing.deliver("b", {"scan.txt": b"before"}) == [("scan.txt", 1, "unchanged")]
    assert losing.deliver("c", ONE) == [("scan.v2.txt", 2, "unchanged")]


@pytest.mark.sqlite_only
def test_what_was_retried_after_a_later_drop_is_known_as_it_was(losing: Losing) -> None:
    product = losing.product
    product.configure({"study": STUDY | {"select": {"patterns": ["*.txt"]}}})
    losing.deliver("older", TWO | {"x.exe": b"1"}, status=1)
    losing.deliver("newer", ONE)
    product.configure()
    (refused,) = product.arrivals("--state", "failed")
    product.run("retry", refused["id"])
    product.drain()
    losing.deliver("again", ONE)
    losing.deliver("once more", TWO)
    before = losing.ledger()
    assert len({row[7] for row in before}) == 2, "some are superseded"
    losing.lose()
    product.run("rebuild")
    assert losing.ledger() == before
    assert not product.listing("events", "--kind", "adopted")
    (latest,) = [row for row in product.listing("latest", "study") if row["item"] == "scan.txt"]
    assert latest["stored_as"] == "scan.txt"


@pytest.mark.sqlite_only
def test_original_that_was_archived_aside_is_found_there(losing: Losing) -> None:
    product = losing.product
    product.studies.rename(product.root / "away")
    for content in (ONE, {"other.txt": b"2"}):
        product.drop("visit", content)
        product.drain(status=1)
    (product.root / "away").rename(product.studies)
    for row in product.arrivals():
        product.run("retry", row["id"])
    product.drain()  # in one batch, whose originals were all to go to done/visit
    before = losing.ledger()
    assert len({row[13] for row in before}) == 2
    losing.lose()
    product.run("rebuild")
    assert losing.ledger() == before


@pytest.mark.parametrize("lost", ["database", "data folder"])
def test_sums_that_a_sender_wrote_are_no_manifest(sqlite_product: Product, lost: str) -> None:
    product, losing = sqlite_product, Losing(sqlite_product)
    product.configure({"study": STUDY | {"deliver": [{"to": "./studies", "manifest": "beside"}]}})
    sums = {"all.sha256": f"{'0' * 64}  images/IM1\n".encode(), "one.sha256": b"0" * 64, "IM1": b"1"}
    losing.deliver("visit", sums)
    before = {(row[4], row[5], row[8]) for row in losing.ledger()}
    losing.lose()
    if lost == "data folder":
        shutil.rmtree(product.root / "var")
    assert "1 arrival " in product.run("rebuild").stdout
    assert {(row[4], row[5], row[8]) for row in losing.ledger()} == before
    product.run("verify", "--fixity")


def test_refusal_of_what_is_read_in_place_is_found_anew(sqlite_product: Product) -> None:
    product = sqlite_product
    route = {"leave_source": True, "complete": "named", "select": {"patterns": ["*.txt"]}}
    product.configure({"study": STUDY | route})
    product.drop("bad", {"x.exe": b"1"})
    product.drain(status=1)
    Losing(product).lose()
    product.run("rebuild")
    assert product.arrivals() == []
    product.drain(status=1)
    assert [row["name"] for row in product.arrivals("--state", "failed")] == ["bad"]


def test_a_manifest_that_was_changed_is_not_believed(sqlite_product: Product) -> None:
    losing = Losing(sqlite_product)
    losing.deliver("a", ONE)
    (manifest,) = sqlite_product.manifests()
    manifest.chmod(0o600)
    manifest.write_text(manifest.read_text().replace(manifest.read_text()[:4], "0000"))
    losing.lose()
    told = sqlite_product.run("rebuild", status=1).stderr
    assert "is not the one that its receipt names" in told
    manifest.write_text("cut off")
    assert "cannot be read as a manifest" in sqlite_product.run("rebuild", status=1).stderr


@pytest.mark.sqlite_only
def test_an_older_database_and_a_later_epoch_in_processing(losing: Losing) -> None:
    """Taken over again and again since the backup: the folder's epoch counts, and nothing is refused."""
    product = losing.product
    product.drop("a", ONE)
    product.studies.rename(product.root / "away")
    product.drain(status=1)  # it waits for its destination
    losing.save()
    (folder,) = product.held()
    folder.rename(folder.with_name(f"{folder.name.partition('-')[0]}-7"))
    losing.put_back()
    (product.root / "away").rename(product.studies)
    (row,) = product.arrivals()
    product.run("retry", row["id"])
    product.drain()
    assert product.delivered() == {"scan.txt": b"one"}
    assert [event["data"]["epoch"] for event in product.listing("events", "--kind", "epoch-adopted")] == [7]


@pytest.mark.sqlite_only
def test_a_later_epoch_whose_row_is_lost_is_adopted(losing: Losing) -> None:
    product = losing.product
    product.drop("a", ONE)
    product.studies.rename(product.root / "away")
    product.drain(status=1)
    (folder,) = product.held()
    folder.rename(folder.with_name(f"{folder.name.partition('-')[0]}-7"))
    losing.lose()
    (product.root / "away").rename(product.studies)
    product.drain()
    assert product.delivered() == {"scan.txt": b"one"}


def test_what_was_delivered_after_the_backup_is_not_refused(losing: Losing) -> None:
    product = losing.product
    product.drop("a", ONE)
    product.studies.rename(product.root / "away")
    product.drain(status=1)
    losing.save()
    (product.root / "away").rename(product.studies)
    (row,) = product.arrivals()
    product.run("retry", row["id"])
    product.drain()
    before = losing.ledger()
    losing.put_back()
    product.run("retry", row["id"])
    told = product.drain(status=1).stdout
    assert "dropslot rebuild" in told
    assert [found["state"] for found in product.arrivals()] == ["retrying"]
    product.run("rebuild")
    assert losing.ledger() == before
    assert [found["state"] for found in product.arrivals()] == ["done"]


@pytest.mark.crash
def test_rebuild_that_is_killed_is_finished_by_the_next(
    sqlite_product: Product, strace: Callable[..., Any]
) -> None:
    losing = Losing(sqlite_product)
    for number in range(3):
        losing.deliver(f"a{number}", {"scan.txt": b"%d" % number})
    before = losing.ledger()
    losing.lose()
    sqlite_product.run("arrivals")
    for when in (1, 3, 5):
        strace(
            sqlite_product.command("rebuild"),
            calls="fdatasync",
            inject=[f"fdatasync:signal=KILL:when={when}"],
            cwd=sqlite_product.root,
            env=sqlite_product.environment,
        )
    sqlite_product.run("rebuild")
    assert losing.ledger() == before
    sqlite_product.run("verify", "--fixity")


def test_rebuild_beside_a_running_service_is_refused(sqlite_product: Product) -> None:
    sqlite_product.run("start_watcher")
    try:
        assert "Stop it first" in sqlite_product.run("rebuild", status=1).stderr
    finally:
        sqlite_product.run("stop_watcher")


def test_a_new_installation_raises_no_alarm(make_product: Callable[..., Product]) -> None:
    product = make_product(has_tables=False)
    assert "rebuild" not in product.drain().stderr
    product.run("verify")
    assert product.run("rebuild").stdout.startswith("Added: 0 arrivals")


def test_a_receipt_outlives_its_database(sqlite_product: Product) -> None:
    Losing(sqlite_product).deliver("a", ONE)
    (row,) = sqlite_product.arrivals()
    before = sqlite_product.run("receipt", row["id"]).stdout
    Losing(sqlite_product).lose()
    sqlite_product.run("rebuild")
    assert sqlite_product.run("receipt", row["id"]).stdout == before


def test_receipts_that_cannot_be_kept_hold_up_no_delivery(sqlite_product: Product) -> None:
    (sqlite_product.root / "var/receipts").write_bytes(b"in the way")
    assert Losing(sqlite_product).deliver("a", ONE) == [("scan.txt", 1, "delivered")]


def test_a_line_that_was_cut_off_spoils_no_other(sqlite_product: Product) -> None:
    losing = Losing(sqlite_product)
    losing.deliver("a", ONE)
    (file,) = (sqlite_product.root / "var/receipts").iterdir()
    with file.open("ab") as stream:
        stream.write(b'{"body": "{\\"arrival')
    losing.deliver("b", TWO)
    before = losing.ledger()
    losing.lose()
    sqlite_product.run("rebuild")
    assert losing.ledger() == before


def rows_of(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_no_delivery_is_made_twice_of_what_stood_in_the_ledger_already(sqlite_product: Product) -> None:
    losing = Losing(sqlite_product)
    losing.deliver("a", ONE)
    before = rows_of(losing.file, "dropslot_delivery")
    assert "0 arrivals" in sqlite_product.run("rebuild").stdout
    assert rows_of(losing.file, "dropslot_delivery") == before


@pytest.mark.parametrize("manifest", ["hidden", "none"])
def test_targets_at_a_server(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path, manifest: str
) -> None:
    losing, product = Losing(sqlite_product), sqlite_product
    remote = tmp_path / "remote"
    remote.mkdir()
    keys = {"key": str(shared_sshd.key), "known_hosts": str(shared_sshd.known_hosts)}
    to = {"to": shared_sshd.url(remote) + "/{who}", "create_folders": True, "manifest": manifest}
    product.configure({"study": STUDY | {"name": "(?P<who>[a-z]+).*", "deliver": [to | keys]}})
    losing.deliver("clinic-1", ONE | {"sub/two.txt": b"2"})
    losing.deliver("clinic-2", TWO)
    before = losing.ledger()
    losing.lose()
    remote.rename(tmp_path / "away")
    assert "could not be read" in product.run("rebuild", status=1).stderr
    assert losing.ledger() == set()
    assert "dropslot rebuild" in product.run("verify", status=1).stdout
    (tmp_path / "away").rename(remote)
    product.run("rebuild")
    assert losing.ledger() == before
    product.run("verify", "--fixity")
    assert losing.deliver("clinic-3", TWO) == [("scan.v2.txt", 2, "unchanged")]
    assert losing.deliver("clinic-4", THREE) == [("scan.v3.txt", 3, "delivered")]
