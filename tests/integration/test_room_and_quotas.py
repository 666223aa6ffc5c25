"""What does not fit waits whole and goes on by itself; studies fill, are counted, and have quotas."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mounts import Mounts
from postbox import Mailbox
from product import STUDY, Product
from sshd import Sshd
from stores import BUCKET, KEY, SECRET, ObjectStore
from waiting import wait_until

MB = 1 << 20
BY_STUDY = STUDY | {"takes": "directories", "name": "(?P<study>[^-]+)-(?P<sent>.+)"}


def fill(folder: Path, size: int, name: str = "filler") -> Path:
    (folder / name).write_bytes(bytes(size))
    return folder / name


def spaces(product: Product) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in product.run("space", "--json", status=None).objects}


def waiting(product: Product) -> list[str]:
    return [row["reason"][0] for row in product.listing("pending") if row["state"] == "retrying"]


def test_an_arrival_that_does_not_fit_waits_whole_and_goes_on_when_there_is_room(
    product: Product, mounts: Mounts
) -> None:
    """Both destinations have room for one copy, and not for the two; a third one has room for all."""
    disk = mounts.tmpfs("8m")
    for name in ("one", "two"):
        (disk / name).mkdir()
    to = [{"to": str(product.studies)}, {"to": str(disk / "one")}, {"to": str(disk / "two")}]
    product.configure({"study": STUDY | {"deliver": to}})
    untouched = os.stat(product.studies).st_ctime_ns
    filler = fill(disk, 3 * MB)
    product.drop("scan", {"a.dat": bytes(2 * MB), "b.dat": bytes(MB)})
    product.drop("note", b"1")
    for _ in range(2):
        product.drain(status=1)
    assert product.delivered() == {"note": b"1"}
    [reason] = waiting(product)
    assert "needs 6.3 MB, and 5.2 MB are free" in reason and "nothing of it was staged" in reason
    assert [path.name for path in product.held()] and not list(disk.glob("*/.dropslot/stage/*"))
    [row] = product.arrivals("--state", "retrying")
    assert row["attempts"] == 0
    kinds = [event["kind"] for event in product.listing("events") if event["arrival"] == row["id"]]
    assert kinds == ["claimed", "started", "retrying"], "no second attempt before there is room"
    told = spaces(product)[f"disk of {disk / 'one'}"]
    assert (told["waiting"], told["state"]) == (1, "full") and told["waiting_bytes"] == 6 * MB
    filler.unlink()
    product.drain()
    assert {path.name for path in disk.glob("*/*.dat")} == {"a.dat", "b.dat"} and os.listdir(disk / "two")
    assert spaces(product)[f"disk of {disk / 'one'}"]["waiting"] == 0
    assert os.stat(product.studies).st_ctime_ns != untouched and not product.held()


def test_what_fits_into_what_is_left_goes_on_and_the_rest_waits(
    sqlite_product: Product, mounts: Mounts
) -> None:
    product = sqlite_product
    disk = mounts.tmpfs("8m")
    product.configure({"study": STUDY | {"deliver": [{"to": str(disk), "space": {"full": "75%"}}]}})
    filler = fill(disk, 5 * MB)
    for name in ("first", "second"):
        product.drop(name, bytes(3 * MB))
    product.drain(status=1)
    assert len(waiting(product)) == 2, "a quarter of the disk is kept for others"
    assert "(file system, up to 75 %, " in waiting(product)[0]
    filler.write_bytes(bytes(2 * MB))
    product.drain(status=1)
    assert (disk / "first").stat().st_size == 3 * MB and len(waiting(product)) == 1


@pytest.mark.crash
def test_a_study_fills_its_quota_is_warned_of_and_goes_on_when_it_gets_more(sqlite_product: Product) -> None:
    """By dropslot's own count, corrected by a walk."""
    product = sqlite_product

    def give(heart: str) -> None:
        limits = {"of": "./studies/{study}", "quota": {"heart": heart, "*": "1GB"}, "warn": "60%"}
        to = "./studies/{study}/raw/{sent}"
        product.configure({"study": BY_STUDY | {"deliver": [{"to": to, "space": limits}]}})

    give("3MB")
    for name in ("heart-1", "heart-2", "brain-1"):
        product.drop(name, {"a.dat": name.encode() * 120_000})  # 840 kB
        product.drain()
    found = spaces(product)
    assert (found["study heart"]["used_bytes"], found["study brain"]["used_bytes"]) == (1_680_000, 840_000)
    assert found["study heart"]["state"] == "room" and found["study brain"]["percent_full"] == 1
    fullest = product.run("space", "--json", "--limit", "1", status=None).objects
    assert [row["name"] for row in fullest] == list(found)[:1]
    fill(product.studies / "heart", 400_000, "of-others")
    product.start("run")
    wait_until(lambda: spaces(product)["study heart"]["state"] == "filling", what="the walk")
    late = product.run("health", status=1).stdout
    assert "space of study heart: it is 7" in late and "of 3.0 MB used" in late
    product.drop("heart-3", {"a.dat": bytes(1_500_000)})
    wait_until(lambda: waiting(product), what="the arrival that does not fit")
    assert "There is no room for study heart: the arrival needs 1.5 MB" in waiting(product)[0]
    assert "1 arrival of 1.5 MB waits for room" in product.run("health", status=1).stdout
    product.drop("brain-2", {"a.dat": b"1"})
    product.wait_for_state("brain-2", "done")
    (product.studies / "heart/of-others").unlink()  # too little, and known only by the next walk
    product.close()
    give("4MB")
    product.drain()
    assert spaces(product)["study heart"]["state"] in ("filling", "full") and not waiting(product)


def test_a_real_quota_of_a_study_is_seen_and_waited_for(sqlite_product: Product, mounts: Mounts) -> None:
    """btrfs keeps it; the disk as a whole has room."""
    product = sqlite_product
    folder = mounts.with_quota("16M")
    rule = {"to": str(folder.parent) + "/{study}/{sent}", "space": {"of": str(folder.parent) + "/{study}"}}
    product.configure({"study": BY_STUDY | {"deliver": [rule]}})
    product.drop("limited-1", {"a.dat": os.urandom(15 * MB)})
    product.drain()
    os.sync()
    found = next(row for row in spaces(product).values() if row["limit"] == "quota of the subvolume")
    assert (
        found["name"] == "study limited, quota of the subvolume"
        and found["percent_full"] > 90
        and found["state"] == "filling"
    )
    product.drop("limited-2", {"a.dat": os.urandom(3 * MB)})
    product.drain(status=1)
    assert (
        "no room for study limited" in waiting(product)[0] and "quota of the subvolume" in waiting(product)[0]
    )
    mounts.set_quota(folder, "64M")
    product.drain()
    assert (folder / "2/a.dat").stat().st_size == 3 * MB


@pytest.mark.parametrize("says", [True, False], ids=["statvfs", "without statvfs"])
def test_a_server_is_asked_if_it_knows_and_otherwise_counted(
    sqlite_product: Product, mounts: Mounts, make_sshd: Callable[..., Sshd], says: bool
) -> None:
    product = sqlite_product
    server = make_sshd() if says else make_sshd(sftp="internal-sftp -P statvfs")
    disk = mounts.tmpfs("8m")
    rule = {"to": server.url(disk) + "/{study}/{sent}", "create_folders": True, "key": str(server.key)}
    limits = {"of": server.url(disk) + "/{study}", "quota": "6MB"}
    product.configure(
        {"study": BY_STUDY | {"deliver": [rule | {"known_hosts": str(server.known_hosts), "space": limits}]}}
    )
    product.drop("heart-1", {"a.dat": bytes(2 * MB)})
    product.drain()
    found = spaces(product)
    whole = found[f"server of {server.url(disk)}"]
    assert found["study heart"]["used_bytes"] == 2 * MB
    assert (whole["percent_full"], whole["state"]) == ((26, "room") if says else (None, "unknown"))
    filler = fill(disk, 5 * MB)
    product.drop("heart-2", {"a.dat": bytes(3 * MB)})
    product.drain(status=1)
    assert ("no room for study heart" in waiting(product)[0]) == says, (
        "the server itself refuses what it cannot keep"
    )
    filler.unlink()
    product.run("retry", *(row["id"] for row in product.arrivals("--state", "retrying")))
    product.drain()
    assert (disk / "heart/2/a.dat").stat().st_size == 3 * MB
    product.drop("heart-3", {"a.dat": bytes(2 * MB)})
    product.drain(status=1)
    assert "quota of 6.0 MB" in waiting(product)[0]


def test_a_bucket_is_counted(sqlite_product: Product, shared_store: ObjectStore) -> None:
    product = sqlite_product
    at = f"s3://{BUCKET}/{product.root.parent.name}"
    rule = {
        "to": f"{at}/{{study}}/{{sent}}",
        "space": {"of": f"{at}/{{study}}", "quota": "3MB", "warn": "50%"},
    }
    secrets: dict[str, Any] = {"STORE_KEY": KEY, "STORE_SECRET": SECRET}
    product.configure({"study": BY_STUDY | {"deliver": [rule | shared_store.keys]}})
    product.drop("heart-1", {"a.dat": bytes(2_000_000)})
    product.run("drain", "--now", **secrets)
    found = {row["name"]: row for row in product.run("space", "--json", status=1, **secrets).objects}
    assert (found["study heart"]["used_bytes"], found["study heart"]["state"]) == (2_000_000, "filling")
    product.drop("heart-2", {"a.dat": bytes(2_000_000)})
    product.run("drain", "--now", status=1, **secrets)
    assert "needs 2.0 MB, and 1.0 MB are free" in waiting(product)[0]


@pytest.mark.crash
def test_a_disk_that_fills_is_warned_of_waited_for_and_delivered_to_and_mails_say_so_in_this_order(
    sqlite_product: Product, mounts: Mounts, make_mailbox: Callable[..., Mailbox]
) -> None:
    """The disk is a study's own; its study runner and the operators are told."""
    product, box, disk = sqlite_product, make_mailbox(), mounts.tmpfs("8m")
    above, study = str(disk.parent), f"study {disk.name}"
    notify = {"space": ["mailto:ops@lab.example", "study"], "gather": "0s", "every": "0s"}
    rule = {"to": above + "/{study}/{sent}", "space": {"of": above + "/{study}"}}
    product.configure(
        {"study": BY_STUDY | {"deliver": [rule]}}, mail=box.key, notify=notify, health={"look": "300ms"}
    )
    (product.root / "password").write_text("correct horse battery")
    stella = ("stella", "--role", "study-runner", "--study", disk.name, "--email", "stella@lab.example")
    product.run("adduser", *stella, "--password-file", product.root / "password")
    product.start("run")
    product.drop(f"{disk.name}-first", {"note": b"1"})
    product.wait_for_state(f"{disk.name}-first", "done")
    filler = fill(disk, 7_800_000)
    wait_until(
        lambda: "94 % full (warn: 90 %): 7.8 MB of 8.4 MB used" in mails(box), what="the warning by mail"
    )
    product.drop(f"{disk.name}-scan", {"a.dat": bytes(2 * MB)})
    wait_until(
        lambda: "1 arrival of 2.1 MB waits for room" in mails(box), what="the mail that something waits"
    )
    assert f"no room for {study}: the arrival needs 2.1 MB, and 578 kB are free" in waiting(product)[0]
    assert [path.name for path in product.held()] and not list(disk.rglob("stage/*"))
    assert not (disk / "scan").exists()
    filler.unlink()
    product.wait_for_state(f"{disk.name}-scan", "done", deadline_seconds=60)
    assert (disk / "scan/a.dat").stat().st_size == 2 * MB
    for who in ("ops", "stella"):
        wait_until(partial(ended_well, box, who), what=f"the last mails to {who}")
        said = mails(box, who)
        assert said.index("94 % full") < said.index("waits for room") < said.index("No longer")
    filling, full = f"space of {study}", f"no room for {study}"
    happened = [
        (event["kind"], event["data"].get("about"))
        for event in product.listing("events")
        if event["kind"] in ("trouble", "trouble-over", "retrying", "delivered")
    ]
    assert happened[:4] == [("delivered", None), ("trouble", filling), ("retrying", None), ("trouble", full)]
    assert sorted(happened[4:]) == [("delivered", None), ("trouble-over", full), ("trouble-over", filling)]


def ended_well(box: Mailbox, to: str) -> bool:
    return mails(box, to).count("No longer") >= 2


def mails(box: Mailbox, to: str = "ops") -> str:
    """All that somebody was written, in order, as text."""
    letters = [letter for letter in list(box.letters) if letter.to == [f"{to}@lab.example"]]
    bodies = (letter.message.get_body(("plain",)) for letter in letters)
    return "\n".join(" ".join(str(body.get_content()).split()) for body in bodies if body)
