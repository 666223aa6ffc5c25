"""fetch_dicom: whole studies from real archives, or nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dicom.archives import Archive, dcmqrscp, orthanc
from dicom.images import SERIES_UID, STUDY_UID, image, series
from dicom.receiver import CT_IMAGE, Receiver, write_files
from dropslot.dicom.fetching.fetch import differences
from dropslot.dicom.fetching.study_query import Series, Study
from product import Product
from racing import again_and_again
from waiting import wait_until


@pytest.mark.parametrize("archive_of", [dcmqrscp, orthanc])
def test_a_study_is_fetched_whole_and_verified(
    sqlite_product: Product, tmp_path: Path, archive_of: Callable[..., AbstractContextManager[Archive]]
) -> None:
    receiver = Receiver(sqlite_product)
    files = series(5, AccessionNumber="A17") | {
        "6": image(6, AccessionNumber="A17", SeriesInstanceUID="1.2.3")
    }
    paths = write_files(tmp_path / "files", files)
    with archive_of(tmp_path / "archive", receiver.port) as archive:
        archive.store(paths)
        command = ("fetch_dicom", "--from", archive.address, "--json")
        by_get = sqlite_product.run(*command, "--get", "A17").objects
        assert {(row["series_uid"], row["listed"], row["received"]) for row in by_get} == {
            (SERIES_UID, 5, 5),
            ("1.2.3", 1, 1),
        }
        sqlite_product.drain()
        by_move = sqlite_product.run(*command, "--move", "--study", STUDY_UID).objects
        assert [row["received"] for row in by_move] == [row["received"] for row in by_get]
        assert not [path for path in sqlite_product.folder("inbox").iterdir() if path.name.startswith(".")]
        sqlite_product.drain()
        receiver.start()  # the service receives, and hands over to the command
        sqlite_product.run(*command, "--move", "A17")
        nothing = sqlite_product.run("fetch_dicom", "--from", archive.address, "NONE", status=1)
    assert "no study NONE" in nothing.stderr
    assert [arrival["sender"] for arrival in sqlite_product.arrivals()][:2] == ["ARCHIVE", "ARCHIVE"]
    recorded = [event["data"] for event in sqlite_product.listing("events", "--kind", "images-recorded")]
    assert {one["verdict"] for event in recorded for one in event["series"]} == {"VERIFIED"}


@pytest.mark.crash
def test_what_is_sent_meanwhile_for_others_is_not_part_of_a_fetch(
    sqlite_product: Product, tmp_path: Path
) -> None:
    receiver = Receiver(sqlite_product, quiet="5s")
    paths = write_files(tmp_path / "files", series(30, AccessionNumber="A17"))
    pushed = write_files(
        tmp_path / "pushed", {f"{n}.dcm": image(n, AccessionNumber="A17") for n in range(50, 500)}
    )
    with dcmqrscp(tmp_path / "archive", receiver.port) as archive:
        archive.store(paths)
        receiver.start()

        def send_others(times: int) -> None:
            if times % 2:
                receiver.store(pushed[times], calling="ARCHIVE")
            else:  # somebody else's C-MOVE of the same study
                archive.move(STUDY_UID, "DROPSLOT", by="OTHER")

        with again_and_again(send_others):
            wait_until(lambda: list(sqlite_product.folder("inbox").glob(".*/data/*/*")), what="a push")
            rows = sqlite_product.run(
                "fetch_dicom", "--from", archive.address, "--json", "--move", "A17"
            ).objects
    assert [(row["listed"], row["received"]) for row in rows] == [(30, 30)]
    sqlite_product.wait_for_state(rows[0]["name"], "done")
    items = sqlite_product.history("--search", rows[0]["name"])
    assert len([row for row in items if row["name"] == rows[0]["name"]]) == 30


@pytest.mark.crash
def test_an_archive_that_dies_in_a_move_is_named_and_the_study_comes_whole_later(
    sqlite_product: Product, tmp_path: Path
) -> None:
    receiver = Receiver(sqlite_product)
    paths = write_files(tmp_path / "files", series(150, AccessionNumber="A17"))
    inbox = sqlite_product.folder("inbox")
    with orthanc(tmp_path / "archive", receiver.port) as archive:
        archive.store(paths)
        fetching = sqlite_product.start("fetch_dicom", "--from", archive.address, "--move", "A17")
        wait_until(lambda: len(list(inbox.rglob("*.dcm"))) > 10, what="some images")
        os.kill(archive.pid, signal.SIGKILL)
        assert fetching.wait(120) == 1
    said = (sqlite_product.root / "fetch_dicom.log").read_text()
    assert "the archive did not finish the C-MOVE" in said
    assert re.search(r"\d+ of 150 instances are missing", said)
    assert not list(inbox.iterdir())
    with orthanc(tmp_path / "archive", receiver.port) as archive:
        rows = sqlite_product.run("fetch_dicom", "--from", archive.address, "--json", "--move", "A17").objects
    assert [row["received"] for row in rows] == [150]
    sqlite_product.drain()
    assert len(sqlite_product.delivered()) == 150


def test_a_deidentified_study_is_compared_with_what_the_archive_listed(
    sqlite_product: Product, tmp_path: Path
) -> None:
    receiver = Receiver(sqlite_product, {"deidentify": {"profile": "basic"}})
    paths = write_files(tmp_path / "files", series(3, AccessionNumber="A17"))
    with dcmqrscp(tmp_path / "archive", receiver.port) as archive:
        archive.store(paths)
        sqlite_product.run("fetch_dicom", "--from", archive.address, "--get", "A17")
    sqlite_product.drain()
    (recorded,) = [event["data"] for event in sqlite_product.listing("events", "--kind", "images-recorded")]
    (one,) = recorded["series"]
    assert one["series_uid"] != SERIES_UID and one["verdict"] == "VERIFIED"


def test_a_study_that_does_not_come_whole_is_not_kept(sqlite_product: Product, tmp_path: Path) -> None:
    receiver = Receiver(sqlite_product)
    paths = write_files(tmp_path / "files", series(3, AccessionNumber="A17"))
    with dcmqrscp(tmp_path / "archive", receiver.port) as archive:
        archive.store(paths)
        stored = sorted(path for path in (tmp_path / "archive/db").iterdir() if path.stat().st_size > 20_000)
        lost = next(path for path in stored if path.name.startswith("CT"))
        lost.unlink()
        for how in ("--get", "--move"):
            said = sqlite_product.run("fetch_dicom", "--from", archive.address, how, "A17", status=1).stderr
            assert "1 of 3 instances are missing" in said
    assert not list(sqlite_product.folder("inbox").iterdir())
    assert not sqlite_product.arrivals()


def test_what_the_archive_lists_without_instances_is_never_complete() -> None:
    one, empty = Series("1.2.3", "CT", {"1.2.3.4": CT_IMAGE}), Series("1.2.4", "CT")
    assert list(differences(Study("1.2", "A17", [one]), {"1.2.3": {"1.2.3.4"}})) == []
    (fault,) = differences(Study("1.2", "A17", [one, empty]), {"1.2.3": {"1.2.3.4"}})
    assert fault == "series 1.2.4: the archive listed no instance of it"
    assert list(differences(Study("1.2", "A17"), {})) == ["the archive listed no series of it"]
