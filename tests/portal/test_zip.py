"""Many files in one zip: each as it was delivered, or the zip is not valid."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import time
import zipfile
from pathlib import Path

import pytest
from django.urls import reverse

from dropslot.access.payloads import portable_names
from dropslot.access.payloads.payload_responses import NotAsDelivered
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Arrival, Delivery
from payloads import body, delivery_of, events
from portals import Site


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("results", "north-1.pdf", b"first")
    site.drop("results", "north-2.pdf", b"second")
    site.drop("results", "south-1.pdf", b"of others")
    site.drop("study", "heart-1", {"scan/a.dcm": b"a", "scan/b.dcm": b"b"})
    site.deliver("sam")
    return site


def _zip(site: Site, name: str, **asked: str | int | list[int]) -> zipfile.ZipFile:
    response = site.client(name).get(reverse("dropslot:download_zip"), asked)
    assert response.status_code == 200
    content = body(response)
    assert response["Content-Length"] == str(len(content))
    return zipfile.ZipFile(io.BytesIO(content))


def test_a_zip_has_what_the_account_may_open_and_its_sums(filled: Site) -> None:
    found = _zip(filled, "rita")
    assert found.testzip() is None
    assert found.namelist() == ["north-1.pdf", "north-2.pdf", "SHA256SUMS"]
    assert found.read("north-2.pdf") == b"second"
    sums = "".join(
        f"{hashlib.sha256(found.read(name)).hexdigest()}  {name}\n" for name in found.namelist()[:-1]
    )
    assert found.read("SHA256SUMS").decode() == sums


def test_several_places_are_folders_inside_the_zip(filled: Site) -> None:
    assert set(_zip(filled, "olga").namelist()) == {
        "clinics/north/north-1.pdf",
        "clinics/north/north-2.pdf",
        "clinics/south/south-1.pdf",
        "studies/heart/1/scan/a.dcm",
        "studies/heart/1/scan/b.dcm",
        "SHA256SUMS",
    }


def test_one_arrival_or_a_selection_or_a_search(filled: Site) -> None:
    arrival = filled.arrival("heart-1").id
    assert _zip(filled, "stella", arrival=arrival).namelist()[:2] == ["scan/a.dcm", "scan/b.dcm"]
    assert _zip(filled, "olga", id=delivery_of("north-1.pdf").pk).namelist() == ["north-1.pdf", "SHA256SUMS"]
    assert _zip(filled, "olga", search="south").namelist() == ["south-1.pdf", "SHA256SUMS"]


def test_a_long_selection_comes_by_a_form(filled: Site) -> None:
    ids = [delivery_of(name).pk for name in ("north-1.pdf", "north-2.pdf")]
    response = filled.client("rita").post(reverse("dropslot:download_zip"), {"id": ids})
    assert len(zipfile.ZipFile(io.BytesIO(body(response))).namelist()) == 3


def test_a_form_without_a_selection_downloads_nothing(filled: Site) -> None:
    response = filled.client("rita").post(reverse("dropslot:download_zip"))
    assert (response.status_code, response["Location"]) == (302, reverse("dropslot:archive"))
    assert not events("downloaded")


@pytest.mark.parametrize("asked", [{"id": "x"}, {"id": str(10**30)}, {"id": "99999"}, {"arrival": "x"}])
def test_what_may_not_be_seen_is_not_found(filled: Site, asked: dict[str, str]) -> None:
    assert filled.client("rita").get(reverse("dropslot:download_zip"), asked).status_code == 404


@pytest.mark.parametrize("name", ["sam", "nobody"])
def test_who_opens_nothing_gets_no_zip(filled: Site, name: str) -> None:
    assert filled.client(name).get(reverse("dropslot:download_zip")).status_code == 404


def test_an_id_of_others_is_left_out(filled: Site) -> None:
    ids = [delivery_of(name).pk for name in ("north-1.pdf", "south-1.pdf")]
    assert _zip(filled, "rita", id=ids).namelist() == ["north-1.pdf", "SHA256SUMS"]


def test_each_file_of_a_whole_zip_is_acknowledged(filled: Site) -> None:
    _zip(filled, "rita")
    _zip(filled, "rita")
    found = Acknowledgment.objects.order_by("delivery_id").values_list("delivery__item", "evidence", "user")
    assert list(found) == [("north-1.pdf", "whole", "rita"), ("north-2.pdf", "whole", "rita")]
    assert len(events("acknowledged")) == 2


def test_the_trail_has_one_download_for_each_arrival(filled: Site) -> None:
    _zip(filled, "olga")
    found = {(event["stored_as"], event.get("files")) for event in events("downloaded")}
    assert found == {("north-1.pdf", None), ("north-2.pdf", None), ("south-1.pdf", None), ("scan/a.dcm", 2)}


def test_a_zip_that_breaks_off_acknowledges_nothing(filled: Site) -> None:
    response = filled.client("rita").get(reverse("dropslot:download_zip"))
    next(iter(response.streaming_content))  # type: ignore[attr-defined]
    response.close()
    assert not Acknowledgment.objects.exists()


def test_head_tells_the_size_and_notes_nothing(filled: Site) -> None:
    url = reverse("dropslot:download_zip")
    length = filled.client("rita").head(url)["Content-Length"]
    assert not events("downloaded")
    assert len(body(filled.client("rita").get(url))) == int(length)


def test_an_altered_file_makes_the_zip_invalid(filled: Site) -> None:
    Arrival.objects.update(archived_as="")
    stored = filled.root / "clinics" / "north" / "north-2.pdf"
    stored.chmod(0o600)
    stored.write_bytes(b"SECOND")
    response = filled.client("rita").get(reverse("dropslot:download_zip"))
    sent = []
    with pytest.raises(NotAsDelivered):
        sent.extend(response.streaming_content)  # type: ignore[attr-defined]
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(sent)))
    assert b"SECOND" not in b"".join(sent)
    assert not Acknowledgment.objects.exists()
    assert len(events("altered")) == 1


def test_a_removed_file_is_named_in_the_zip(filled: Site) -> None:
    Arrival.objects.update(archived_as="")
    (filled.root / "clinics" / "north" / "north-2.pdf").unlink()
    found = _zip(filled, "rita")
    assert found.namelist() == ["north-1.pdf", "SHA256SUMS", "NOT-INCLUDED.txt"]
    assert b"north-2.pdf: The portal has no copy of this file. It was delivered to" in found.read(
        "NOT-INCLUDED.txt"
    )
    assert [row.delivery.item for row in Acknowledgment.objects.all()] == ["north-1.pdf"]


def test_a_zip_of_nothing_is_a_page(filled: Site) -> None:
    Arrival.objects.update(archived_as="")
    for stored in (filled.root / "clinics" / "north").iterdir():
        if stored.is_file():
            stored.unlink()
    assert filled.client("rita").get(reverse("dropslot:download_zip")).status_code == 404


def test_the_same_file_twice_is_in_the_zip_once(filled: Site) -> None:
    filled.drop("results", "north-1.pdf", b"first")
    filled.drop("results", "north-2.pdf", b"changed")
    filled.deliver()
    assert _zip(filled, "rita").namelist() == ["north-1.pdf", "north-2.pdf", "north-2.v2.pdf", "SHA256SUMS"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("..", "_"),
        ("a\\..\\b", "a_.._b"),
        ("con.txt", "_con.txt"),
        ("x:y*?.pdf", "x_y__.pdf"),
        ("ends with dot. ", "ends with dot"),
        ("two\nlines", "two_lines"),
        ("ünï", "ünï"),
        ("", "_"),
        ("ü" * 300, "ü" * 127),
    ],
)
def test_a_name_is_safe_on_every_system(name: str, safe: str) -> None:
    assert portable_names.safe_name(name) == safe


def test_paths_inside_differ_in_more_than_case() -> None:
    found = portable_names.Names(("SHA256SUMS",))
    paths = ["a/Scan.nii.gz", "a/scan.nii.gz", "a/scan.nii.gz", "sha256sums", "a:b", "a*b"]
    assert list(map(found.free, paths)) == [
        "a/Scan.nii.gz",
        "a/scan (2).nii.gz",
        "a/scan (3).nii.gz",
        "sha256sums (2)",
        "a_b",
        "a_b (2)",
    ]


def test_thousands_of_files_need_little_memory(site: Site) -> None:
    """With DROPSLOT_ZIP_FILES=100000 in the environment it takes a few minutes and prints what it measures."""
    count = int(os.environ.get("DROPSLOT_ZIP_FILES", "2000"))
    site.drop("study", "heart-1", {"scan": b"x" * 100})
    site.deliver()
    row = Delivery.objects.get()
    folder = Path(row.place.url)
    content = (folder / "scan").read_bytes()
    for start in range(0, count, 1000):
        (folder / f"{start:06}").mkdir()
        names = [f"{start:06}/scan-{number}.dcm" for number in range(1000)]
        for name in names:
            (folder / name).write_bytes(content)
        Delivery.objects.bulk_create([_copy(row, name) for name in names], batch_size=200)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    response = site.client("olga").get(reverse("dropslot:download_zip"))
    planned, size = time.monotonic(), 0
    for block in response.streaming_content:  # type: ignore[attr-defined]
        size += len(block)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{count} files: {planned - began:.1f} s, then {time.monotonic() - planned:.1f} s, {grown} kB more")
    assert str(size) == response["Content-Length"]
    assert grown < 20_000 + count


def _copy(row: Delivery, name: str) -> Delivery:
    fields = {field.attname: getattr(row, field.attname) for field in Delivery._meta.concrete_fields}
    return Delivery(**fields | {"id": None, "item": name, "stored_as": name})


def test_a_zip_of_the_newest_leaves_older_versions_out(site: Site) -> None:
    for content in (b"first", b"second"):
        site.drop("results", "north-1.pdf", content)
        site.deliver("sam")
    site.drop("results", "north-2.pdf", b"only")
    site.deliver("sam")
    response = site.client("rita").get(reverse("dropslot:download_zip"), {"newest": "1"})
    with zipfile.ZipFile(io.BytesIO(body(response))) as found:
        names = sorted(name.rpartition("/")[2] for name in found.namelist())
    assert names == ["SHA256SUMS", "north-1.v2.pdf", "north-2.pdf"]
