"""What is not whole waits, is told, and is refused in the end; so is what a route does not take."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from ulid import ULID

from databases import Database
from desk import Desk
from dropslot.arrivals.models import Arrival
from dropslot.core.states import State
from dropslot.files.walk import MAX_FAULTS
from product import STUDY, Product, read_tree, write_tree
from waiting import wait_until

UNFINISHED = {"IM1": b"1", "sub/IM2.filepart": b"2"}


def configured(product: Product, **route: Any) -> Product:
    return product.configure({"study": STUDY | {"settle": "0.2s"} | route})


def pending(product: Product) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in product.listing("pending")}


def refused(product: Product) -> dict[str, str]:
    """Names and reasons."""
    return {row["name"]: "; ".join(row["reason"]) for row in product.arrivals("--state", "failed")}


def has(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


@contextmanager
def stalled_rsync(source: Path, inbox: Path) -> Iterator[Callable[[], None]]:
    """`rsync -a` that stands still in the middle of the second file; what is given lets it end."""
    command = ["rsync", "-a", "--bwlimit=400", str(source), f"{inbox}/"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until(lambda: has(inbox, "*/.IM2.*"), what="rsync's second file")
        os.killpg(process.pid, signal.SIGSTOP)

        def go_on() -> None:
            os.killpg(process.pid, signal.SIGCONT)
            assert process.wait(60) == 0

        yield go_on
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_an_rsync_that_stalls_is_waited_for_and_then_delivered_whole(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    content = {f"heart-1/IM{number}": os.urandom(300_000) for number in (1, 2, 3)}
    source = write_tree(product.root / "source", content)
    with stalled_rsync(source / "heart-1", product.folder("inbox")) as go_on:
        product.drain(status=None)
        drained = product.run("drain")
        assert "Left: heart-1" in drained.stdout
        assert "IM2" in drained.stdout
        since = pending(product)["heart-1"]["since"]
        assert product.delivered() == {}
        assert ".IM2." in pending(product)["heart-1"]["reason"][0]
        doctor = [row["what"] for row in product.listing("doctor") if "heart-1" in row["what"]]
        assert "is unfinished" in doctor[0]
        product.run("drain")
        assert pending(product)["heart-1"]["since"] == since  # each run starts anew
        go_on()
    product.run("drain")
    assert product.delivered() == read_tree(source / "heart-1")
    assert [row["name"] for row in product.arrivals()] == ["heart-1"]


def test_pending_and_doctor_tell_of_it_before_any_service_has_looked(sqlite_product: Product) -> None:
    product = configured(sqlite_product, test_names="test*")
    product.drop("scan", UNFINISHED)
    product.drop("empty", {"sub/": b""})
    product.drop("good", {"IM1": b"1"})
    product.drop("letter.docx.part", b"1")
    product.drop("Test of the line", {"IM1": b"1"})
    told = {name: row["reason"][0] for name, row in pending(product).items()}
    assert "sub/IM2.filepart is unfinished" in told["scan"]
    assert "contains no file" in told["empty"]
    assert "waits until it is complete" in told["good"]
    assert "its name is temporary" in told["letter.docx.part"]
    assert "is never delivered" in told["Test of the line"]
    warned = " ".join(row["what"] for row in product.listing("doctor") if row["level"] == "warning")
    for name in ("scan, since 20", "empty, since 20", "letter.docx.part, since 20"):
        assert name in warned
    assert "good, since" not in warned


def test_what_is_given_up_goes_to_failed_whole_and_can_be_retried(sqlite_product: Product) -> None:
    product = configured(sqlite_product, give_up="0s")
    product.drop("scan", UNFINISHED)
    product.drop("empty", {"sub/": b""})
    product.run("drain", status=1)
    assert product.delivered() == {}
    assert "sub/IM2.filepart is unfinished" in refused(product)["scan"]
    assert "it contains no file" in refused(product)["empty"]
    scan, empty = (
        product.folder("failed") / row["id"] for row in sorted(product.arrivals(), key=_name, reverse=True)
    )
    assert "sub/IM2.filepart is unfinished" in (scan / "REASON.txt").read_text()
    assert read_tree(scan / "scan") == UNFINISHED
    assert (empty / "empty" / "sub").is_dir()
    # An operator who knows better mends it there.
    (scan / "scan" / "sub" / "IM2.filepart").rename(scan / "scan" / "sub" / "IM2")
    product.run("retry", scan.name)
    product.drain()
    assert product.delivered() == {"IM1": b"1", "sub/IM2": b"2"}


def _name(row: dict[str, Any]) -> str:
    return str(row["name"])


def test_what_became_unfinished_after_it_was_judged_is_refused(sqlite_product: Product) -> None:
    held = sqlite_product.folder("processing") / f"{ULID()}-1"
    held.mkdir()
    write_tree(held / "scan", UNFINISHED)
    sqlite_product.drain(status=1)
    assert sqlite_product.delivered() == {}
    assert "sub/IM2.filepart is unfinished" in refused(sqlite_product)["scan"]


def test_very_many_unfinished_names_are_not_all_told(sqlite_database: Database, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with override_settings(DROPSLOT=desk.config):
        arrival = desk.send("p-scan", {f"{number}.part": b"" for number in range(MAX_FAULTS + 100)})
        assert desk.attempt(arrival) == [State.FAILED]
        assert len(Arrival.objects.get(id=arrival).reason) == MAX_FAULTS


def test_a_route_can_take_names_out_of_the_list(sqlite_product: Product) -> None:
    sqlite_product.configure({"study": STUDY | {"temporary": ["!*.filepart"]}})
    sqlite_product.drop("scan", UNFINISHED)
    sqlite_product.drain()
    assert sqlite_product.delivered() == UNFINISHED


def test_unfinished_things_that_are_read_in_place_are_told_and_refused_in_the_end(
    sqlite_product: Product,
) -> None:
    product = configured(sqlite_product, leave_source=True)
    inbox = product.folder("inbox")
    write_tree(inbox / "scan", UNFINISHED)
    told = product.run("drain").stdout
    assert "Left in the inbox of study: scan: sub/IM2.filepart is unfinished" in told
    assert pending(product).keys() == {"scan"}
    (inbox / "scan/sub/IM2.filepart").rename(inbox / "scan/sub/IM2")
    product.run("drain")
    assert product.delivered() == {"IM1": b"1", "sub/IM2": b"2"}
    write_tree(inbox / "second", UNFINISHED)
    configured(product, leave_source=True, give_up="0s")
    product.run("drain", status=1)
    assert "is unfinished" in refused(product)["second"]
    assert read_tree(inbox / "second") == UNFINISHED


OTHER_KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "file": ({"takes": "directories"}, b"1"),
    "folder": ({"takes": "files"}, {"IM1": b"1"}),
    "empty": ({"takes": "files"}, {"sub/": b""}),
    "unmarked": ({"complete": "marker", "marker": "READY"}, b"1"),
}


@pytest.mark.parametrize("now", [["--now"], []], ids=["now", "quiet"])
def test_another_kind_is_told_and_refused_whole(sqlite_product: Product, now: list[str]) -> None:
    routes = {
        key: STUDY | {"folders": f"./{key}", "settle": "0.2s"} | route
        for key, (route, _) in OTHER_KINDS.items()
    }
    product = sqlite_product.configure(routes)
    for key, (_, content) in OTHER_KINDS.items():
        product.drop(f"of-{key}", content, key)
    told = {name: row["reason"][0] for name, row in pending(product).items()}
    warned = [row["what"] for row in product.listing("doctor") if row["level"] == "warning"]
    drained = product.run("drain", *now, status=1).stdout
    reasons = refused(product)
    for key in OTHER_KINDS:
        assert f"route {key}" in told[f"of-{key}"]
        assert any(what.startswith(f"of-{key}, since") for what in warned)
        assert f"Failed: of-{key}" in drained
        assert f"route {key}" in reasons[f"of-{key}"]
        assert has(product.folder("failed", key), f"*/of-{key}")


def test_another_kind_that_stays_is_told(sqlite_product: Product) -> None:
    options: dict[str, dict[str, Any]] = {
        "ignoring": {"other_kinds": "ignore"},
        "leaving": {"leave_source": True},
    }
    routes = {
        key: STUDY | {"folders": f"./{key}", "takes": "directories"} | route for key, route in options.items()
    }
    product = sqlite_product.configure(routes)
    for key in options:
        product.drop("note.txt", b"1", key)
    drained = product.drain().stdout
    told = [row["reason"][0] for row in product.listing("pending")]
    assert len(told) == 2
    assert all("It stays where it is" in reason for reason in told)
    levels = {row["about"]: row["level"] for row in product.listing("doctor") if "note.txt" in row["what"]}
    assert levels == {"route ignoring": "ok", "route leaving": "warning"}  # the first was asked for
    for key in options:
        assert f"Left in the inbox of {key}: note.txt: it is a file" in drained
        assert (product.folder("inbox", key) / "note.txt").exists()
    assert product.arrivals() == []


def test_drain_says_what_a_service_would_wait_for(sqlite_product: Product) -> None:
    product = sqlite_product.configure({"study": STUDY | {"settle": "1h"}})
    product.drop("scan", UNFINISHED)
    product.drop("empty", {})
    drained = product.drain()
    assert "Left in the inbox of study: scan: sub/IM2.filepart is unfinished" in drained.stdout
    assert "Left in the inbox of study: empty: it contains no file" in drained.stdout
    objects = product.run("drain", "--now", "--json").objects[0]["untaken"]
    assert [entry["name"] for entry in objects] == ["empty", "scan"]


def test_each_drain_says_that_a_folder_is_empty_and_has_not_failed(sqlite_product: Product) -> None:
    product = configured(sqlite_product, complete="named", grace="1s")
    (product.folder("inbox") / "New folder").mkdir()
    for _ in range(2):
        told = product.run("drain").stdout
        assert "1 left for later" in told and "waiting: it contains no file" in told
    assert "fill it, or remove it" in product.run("doctor", status=None).stdout
