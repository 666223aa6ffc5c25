"""Import: patients, studies, series and instances from headers, each instance to its own path, and verdicts."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import Any

import pydicom
import pytest

from dicom.images import SERIES_UID, STUDY_UID, encoded, image, sample, series
from dicom.tables import image_rows
from product import STUDY, Product, read_tree

BY_TAGS = {
    "import": "dicom",
    "deliver": [{"to": "./studies/{PatientID}/{StudyInstanceUID}/{SeriesInstanceUID}"}],
}


def route(**more: Any) -> dict[str, Any]:
    return {"study": STUDY | BY_TAGS | more}


def events(product: Product, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in product.listing("events", "--kind", kind)]


def the_series(product: Product) -> dict[str, Any]:
    (recorded,) = events(product, "images-recorded")[-1]["series"]
    return dict(recorded)


@pytest.mark.sqlite_only
def test_each_instance_goes_where_its_own_tags_say(product: Product) -> None:
    product.configure(route())
    other = image(
        1, PatientID="P-18", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.3.4"
    )
    product.drop("two-patients", {**series(2), "b/3.dcm": other})
    product.drain()
    assert read_tree(product.studies) == {
        **{f"P-17/{STUDY_UID}/{SERIES_UID}/{name}": data for name, data in series(2).items()},
        "P-18/1.2/1.2.3/b/3.dcm": other,
    }
    recorded = events(product, "images-recorded")[0]
    assert [(one["series_uid"], one["instances"], one["added"]) for one in recorded["series"]] == [
        ("1.2.3", 1, 1),
        (SERIES_UID, 2, 2),
    ]


@pytest.mark.sqlite_only
def test_a_series_with_as_many_images_as_it_states_is_consistent(
    product: Product,
) -> None:
    product.configure(route())
    product.drop("whole", series(3, ImagesInAcquisition=3))
    product.drain()
    assert the_series(product)["verdict"] == "CONSISTENT"
    assert the_series(product)["evidence"] == ["The series has 3 images, and its headers state 3"]


@pytest.mark.sqlite_only
def test_no_evidence_is_unknown_and_gaps_are_warnings(product: Product) -> None:
    product.configure(route())
    product.drop("gap", {"1": image(1, ImagePositionPatient=None), "4": image(4, ImagePositionPatient=None)})
    product.drain()
    assert the_series(product)["verdict"] == "UNKNOWN"
    assert the_series(product)["evidence"] == [
        "No header states how many images it has",
        "Warning: 2 numbers between InstanceNumber 1 and 4 not there",
    ]


def ends_before_its_pixels(file: bytes) -> bytes:
    """Cut where an element ends, before its size in rows and columns."""
    return file[: file.index(b"\x28\0\x02\0US")]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (series(2, ImagesInAcquisition=3), "has 2 of the 3 images"),
        ({"1": image(1), "2": image(2)[:-1000]}, "2: "),
        ({"1": image(1), "2": ends_before_its_pixels(image(2))}, "its header describes no pixels"),
        ({"1": image(1), "2": image(2, PatientID="P-18")}, "mixes 2 patients: PatientID P-17, P-18"),
        ({"1": image(1), "2": image(2, StudyInstanceUID="1.2.3")}, "mixes 2 studies"),
    ],
)
@pytest.mark.sqlite_only
def test_what_is_missing_damaged_or_mixed_up_is_incomplete(
    product: Product, files: dict[str, bytes], why: str
) -> None:
    product.configure(route())
    product.drop("short", files)
    product.drain()
    assert the_series(product)["verdict"] == "INCOMPLETE"
    assert why in the_series(product)["evidence"][0]


@pytest.mark.sqlite_only
def test_irregular_distances_are_a_doubt(product: Product) -> None:
    product.configure(route())
    files = series(5, ImagesInAcquisition=4)
    del files["4.dcm"]
    product.drop("irregular", files)
    product.drain()
    assert the_series(product)["verdict"] == "UNKNOWN"
    assert "1 distance between slices differs from the usual 2.5 mm: 5 mm" in the_series(product)["evidence"]


def test_a_later_change_adds_only_new_instances(product: Product) -> None:
    product.configure(route())
    product.drop("visit", series(2))
    product.drain()
    product.drop("visit", series(3))
    product.drain()
    assert (the_series(product)["instances"], the_series(product)["added"]) == (3, 1)
    outcomes = [row["outcome"] for row in product.history("--search", "visit") if row["item"] != "3.dcm"]
    assert sorted(outcomes) == ["delivered", "delivered", "unchanged", "unchanged"]


def test_other_bytes_under_a_known_uid_are_an_alarm_and_a_version(
    product: Product,
) -> None:
    product.configure(route())
    product.drop("visit", series(1))
    product.drain()
    changed = image(1, SeriesDescription="corrected")
    product.drop("again", {"1.dcm": changed})
    product.drain()
    (alarm,) = events(product, "instances-changed")
    assert (alarm["count"], alarm["instances"][0]["item"], alarm["instances"][0]["version"]) == (
        1,
        "1.dcm",
        2,
    )
    folder = product.studies / "P-17" / STUDY_UID / SERIES_UID
    assert ((folder / "1.dcm").read_bytes(), (folder / "1.v2.dcm").read_bytes()) == (image(1), changed)


@pytest.mark.sqlite_only
def test_a_file_that_is_not_dicom_is_kept_and_counted(product: Product) -> None:
    product.configure(route())
    product.drop("mixed", {**series(1), "notes.txt": b"some text"})
    product.drain()
    assert [row["item"] for row in product.history()] == ["1.dcm"]
    assert events(product, "images-recorded")[0]["not_dicom"] == {"count": 1, "names": ["notes.txt"]}
    assert (product.folder("done") / "mixed" / "notes.txt").read_bytes() == b"some text"
    receipt, _ = json.JSONDecoder().raw_decode(product.run("receipt", product.arrivals()[0]["id"]).stdout)
    assert receipt["ignored"] == {"count": 1, "names": ["notes.txt"]}


@pytest.mark.sqlite_only
def test_a_file_that_is_not_dicom_can_refuse_or_be_delivered_beside(
    product: Product,
) -> None:
    product.configure(
        route(not_dicom="refuse")
        | {"beside": STUDY | {"folders": "./beside", "import": "dicom", "not_dicom": "deliver"}}
    )
    product.drop("mixed", {**series(1), "notes.txt": b"some text"})
    product.drop("mixed", {**series(1), "notes.txt": b"some text"}, route="beside")
    product.drain(status=1)
    (refused,) = product.arrivals("--state", "failed")
    assert refused["reason"][0].startswith("notes.txt is not DICOM: ")
    assert sorted(row["item"] for row in product.history()) == ["1.dcm", "notes.txt"]


@pytest.mark.sqlite_only
def test_an_arrival_without_dicom_is_refused(product: Product) -> None:
    product.configure(route())
    product.drop("texts", {"a.txt": b"some text"})
    product.drain(status=1)
    (refused,) = product.arrivals()
    assert refused["reason"][0] == "texts has no DICOM image"


@pytest.mark.sqlite_only
def test_names_of_folders_stand_in_for_missing_uids(product: Product) -> None:
    product.configure(route())
    nameless = image(1, StudyInstanceUID=None, SeriesInstanceUID=None)
    product.drop("visit1", {"T1/1.dcm": nameless})
    product.drain()
    assert read_tree(product.studies) == {"P-17/study_visit1/series_T1/T1/1.dcm": nameless}
    assert (the_series(product)["study_uid"], the_series(product)["series_uid"]) == (
        "study_visit1",
        "series_T1",
    )


def test_an_arrival_waits_for_the_rest_of_its_series(product: Product) -> None:
    product.configure(route(series={"require": "CONSISTENT", "wait": "1h"}))
    whole = series(4, ImagesInAcquisition=4)
    first = {name: whole[name] for name in ("1.dcm", "2.dcm")}
    product.drop("first", first)
    product.drain(status=None)
    (waiting,) = product.arrivals()
    assert waiting["state"] == "retrying"
    assert "has 2 of the 4 images that its headers state" in waiting["reason"][0]
    product.drop("second", {name: whole[name] for name in ("3.dcm", "4.dcm")})
    product.drain()
    assert {one["name"]: one["state"] for one in product.arrivals()} == {"first": "done", "second": "done"}
    assert the_series(product)["verdict"] == "CONSISTENT"


@pytest.mark.parametrize(("then", "state"), [("refuse", "failed"), ("deliver", "done")])
def test_after_its_time_it_is_refused_or_delivered(product: Product, then: str, state: str) -> None:
    product.configure(route(series={"require": "CONSISTENT", "wait": 0, "then": then}))
    product.drop("short", series(2, ImagesInAcquisition=4))
    product.drain(status=None)
    (arrival,) = product.arrivals()
    assert arrival["state"] == state
    if state == "failed":
        assert "has 2 of the 4 images that its headers state" in arrival["reason"][0]
    else:
        assert events(product, "series-incomplete")[0]["required"] == "CONSISTENT"


@pytest.mark.sqlite_only
def test_a_dicomdir_is_kept_and_belongs_to_no_series(product: Product) -> None:
    product.configure(route(not_dicom="refuse"))
    product.drop("disc", {**series(1), "DICOMDIR": encoded(sample("DICOMDIR"))})
    product.drain()
    assert events(product, "images-recorded")[0]["not_dicom"] == {"count": 1, "names": ["DICOMDIR"]}
    assert [row["item"] for row in product.history()] == ["1.dcm"]


@pytest.mark.sqlite_only
def test_a_single_file_is_imported(product: Product) -> None:
    product.configure(route())
    product.drop("one.dcm", image(1))
    product.drain()
    assert read_tree(product.studies) == {f"P-17/{STUDY_UID}/{SERIES_UID}/one.dcm": image(1)}


@pytest.mark.sqlite_only
def test_a_value_that_is_no_path_component_refuses(product: Product) -> None:
    product.configure(route())
    product.drop("hostile", {"1.dcm": image(1, PatientID="../../etc")})
    product.drain(status=1)
    (refused,) = product.arrivals()
    assert refused["state"] == "failed"
    assert "PatientID" in refused["reason"][0]


@pytest.mark.sqlite_only
def test_an_arrival_that_waits_keeps_no_others_of_the_same_names_waiting(product: Product) -> None:
    product.configure(route(series={"require": "CONSISTENT", "wait": "1h"}))
    product.drop("short", series(2, ImagesInAcquisition=4))
    product.drain(status=None)
    other = {"PatientID": "P-18", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    product.drop("whole", series(2, ImagesInAcquisition=2, **other))
    product.drain(status=None)
    assert {one["name"]: one["state"] for one in product.arrivals()} == {"short": "retrying", "whole": "done"}


@pytest.mark.sqlite_only
def test_series_with_the_same_names_of_files_are_not_delivered_one_after_the_other(product: Product) -> None:
    """One whose destination is away does not hold up the others, which go elsewhere."""
    product.configure(route())
    (product.studies / "P-17" / STUDY_UID / SERIES_UID / ".dropslot").mkdir(parents=True)
    (product.studies / "P-17" / STUDY_UID / SERIES_UID / ".dropslot" / "manifests").touch()
    product.drop("hindered", series(2))
    product.drain(status=None)
    other = {"PatientID": "P-18", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    product.drop("free", series(2, **other))
    product.drop("also-hindered", series(3))
    product.drain(status=None)
    states = {one["name"]: one["state"] for one in product.arrivals()}
    assert states == {"hindered": "retrying", "free": "done", "also-hindered": "retrying"}


@pytest.mark.sqlite_only
def test_a_directory_that_is_read_in_place_gets_a_revision_when_it_changes(product: Product) -> None:
    product.configure(route(leave_source=True, settle=0))
    folder = product.drop("visit", series(2))
    product.drain()
    (folder / "3.dcm").write_bytes(image(3))
    product.drain()
    assert (the_series(product)["instances"], the_series(product)["added"]) == (3, 1)
    assert sorted(row["outcome"] for row in product.history()) == ["delivered"] * 3 + ["unchanged"] * 2
    assert (folder / "3.dcm").exists()


def test_odd_names_and_values_are_recorded_and_alarmed(product: Product) -> None:
    product.configure({"study": STUDY | {"import": "dicom"}})
    with pydicom.config.disable_value_validation():
        first, second = (
            {
                "s\u00e9rie/x y;'.dcm": image(
                    1,
                    PatientName="X" * 1000,
                    PatientID="Y\0" * 300,
                    SeriesDescription=text * 500,
                    SOPInstanceUID="1." * 300,
                    AcquisitionNumber=None,
                )
            }
            for text in ("one", "two")
        )
    product.drop("odd", first)
    product.drain()
    product.drop("odd again", second)
    product.drain()
    (alarm,) = events(product, "instances-changed")
    assert alarm["instances"][0]["version"] == 2
    (row,) = product.listing("series")
    assert row["instances"] == 1


def test_images_are_recorded_in_the_order_of_their_numbers(sqlite_product: Product) -> None:
    product = sqlite_product.configure(route())
    product.drop("visit", {"c": image(1), "a": image(10), "b": image(2)})
    product.drain()
    with closing(sqlite3.connect(product.root / "var" / "dropslot.sqlite3")) as database:
        rows = database.execute("SELECT item FROM dropslot_dicom_instance ORDER BY id").fetchall()
    assert rows == [("c",), ("b",), ("a",)]


def test_images_are_recorded_with_the_bytes_that_were_published(product: Product) -> None:
    """Somebody writes to the source after a part of it has its names: what is recorded is what was delivered."""
    product.configure(route())
    other = {"PatientID": "P-18", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    first, second = image(1), image(2, **other)
    product.drop("visit", {"1.dcm": first, "2.dcm": second})
    blocked = product.studies / "P-18/1.2/1.2.3/.dropslot"
    blocked.mkdir(parents=True)
    (blocked / "manifests").touch()
    product.drain(status=None)
    (arrival,) = product.arrivals()
    published = product.studies / "P-17" / STUDY_UID / SERIES_UID / "1.dcm"
    assert (arrival["state"], published.read_bytes()) == ("retrying", first)
    (source,) = product.folder("processing").glob("*/visit/1.dcm")
    source.write_bytes(first[:-1] + bytes([first[-1] ^ 1]))
    (blocked / "manifests").unlink()
    product.run("retry", arrival["id"])
    product.drain()
    delivered = {row["item"]: row["sha256"] for row in product.history()}
    assert delivered["1.dcm"] == hashlib.sha256(first).hexdigest()
    assert {row["instance.item"]: row["instance.sha256"] for row in image_rows(product)} == delivered
