"""`series`, and the figures of batches: `export_metrics`, `batch_logs`, `summary_metrics`."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from dicom.images import SERIES_UID, STUDY_UID, image, series
from product import STUDY, Product

_KEYS = (
    *("patient_id", "study_uid", "series_uid", "modality", "description", "instances"),
    *("verdict", "evidence", "arrival", "received_at"),
)


@pytest.fixture
def imported(product: Product) -> Product:
    """Two arrivals with images of three series, and one that was refused."""
    product.configure(
        {
            "study": STUDY
            | {"import": "dicom", "deliver": [{"to": "./studies/{PatientID}/{StudyInstanceUID}"}]}
        }
    )
    product.drop("whole", series(3, ImagesInAcquisition=3))
    product.drain()
    mr = image(
        1,
        Modality="MR",
        PatientID="P-18",
        SeriesInstanceUID="1.2.3",
        StudyInstanceUID="1.2",
        SOPInstanceUID="1",
    )
    named = image(
        9,
        SpecificCharacterSet="ISO_IR 192",
        PatientID="P-19",
        StudyInstanceUID="1.9",
        PatientName="=cmd|'!A1\x1b[31m^\u202e",
        SeriesInstanceUID="1.2.4",
        SOPInstanceUID="2",
    )
    product.drop("others", {"mr": mr, "named": named})
    product.drain()
    product.drop("none", {"a.txt": b"no image"})
    product.drain(status=1)
    return product


def test_series_are_listed_with_their_verdict_and_narrowed(imported: Product) -> None:
    rows = imported.listing("series")
    assert all(tuple(row) == _KEYS for row in rows)
    whole = rows[0]
    assert (whole["patient_id"], whole["study_uid"], whole["series_uid"]) == ("P-17", STUDY_UID, SERIES_UID)
    assert (whole["verdict"], whole["instances"]) == ("CONSISTENT", 3)
    assert whole["arrival"] == imported.arrivals()[0]["id"]

    def found(*options: str) -> list[str]:
        return sorted(row["series_uid"] for row in imported.listing("series", *options))

    assert found("--modality", "MR") == ["1.2.3"]
    verdicts = {row["series_uid"]: row["verdict"] for row in rows}
    assert found("--verdict", "consistent") == sorted(
        uid for uid in verdicts if verdicts[uid] == "CONSISTENT"
    )
    assert found("--search", "P-18") == ["1.2.3"]
    assert found("--search", "Doe") == ["1.2.3", SERIES_UID]
    assert len(found("--limit", "2")) == 2
    assert found("--since", "2999-01-01") == []
    assert "No match for --modality PT" in imported.run("series", "--modality", "PT").stdout
    assert imported.run("series", "--verdict", "GOOD", status=2).stdout == ""
    table = imported.run("series").stdout
    assert "CONSISTENT" in table and "\x1b" not in table and "\u202e" not in table


def _tsv(product: Product, *options: str) -> list[dict[str, Any]]:
    text = product.run("export_metrics", *options).stdout
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_metrics_of_each_batch_and_their_summary(imported: Product) -> None:
    rows = _tsv(imported)
    assert [(row["name"], row["status"], row["instances"]) for row in rows] == [
        ("whole", "done", "3"),
        ("others", "done", "2"),
        ("none", "failed", ""),
    ]
    done = rows[0]
    assert float(done["total_seconds"]) >= float(done["work_seconds"]) > 0
    rate = int(done["size_bytes"]) / 1e6 / float(done["work_seconds"])
    assert float(done["mb_per_second"]) == pytest.approx(rate, rel=0.05)
    assert rows[2]["mb_per_second"] == rows[2]["held_seconds"] == ""
    assert [row["name"] for row in _tsv(imported, "--state", "failed")] == ["none"]
    (route,) = imported.listing("summary_metrics")
    assert (route["route"], route["batches"], route["done"], route["failed"]) == ("study", 3, 2, 1)
    works = sorted(float(row["work_seconds"]) for row in rows[:2])
    assert (route["work_seconds_median"], route["work_seconds_p95"]) == tuple(works)
    assert "in the median" in imported.run("summary_metrics").stdout


def test_logs_tell_what_happened_with_the_errors(imported: Product) -> None:
    text = imported.run("batch_logs").stdout
    assert "Sent: 3 items delivered" in text
    assert "Refused: nothing of it was delivered\n      none has no DICOM image" in text
    (one,) = imported.listing("batch_logs", imported.arrivals()[2]["id"])
    assert (one["status"], one["events"][-1]["kind"]) == ("failed", "refused")
    assert one["errors"][0] == "none has no DICOM image"
    assert "No match for --search zzz" in imported.run("batch_logs", "--search", "zzz").stdout


def test_the_time_that_a_batch_was_held_is_counted(product: Product) -> None:
    product.configure({"study": STUDY | {"import": "dicom", "release": "manual"}})
    product.drop("one", series(1))
    product.drain()
    assert _tsv(product)[0]["status"] == "held"
    product.run("start_queue")
    product.drain()
    (row,) = _tsv(product)
    assert row["status"] == "done"
    assert float(row["held_seconds"]) > 0
    assert float(row["work_seconds"]) + float(row["held_seconds"]) <= float(row["total_seconds"]) + 0.01
