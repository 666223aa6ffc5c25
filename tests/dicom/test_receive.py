"""Receiving from scanners: what is acknowledged becomes an arrival, whole studies, from those who may send."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom

from dicom.images import STUDY_UID, image, series
from dicom.receiver import Receiver, write_files
from product import Product


def elements(file: bytes) -> pydicom.Dataset:
    """A file's data set. dcmtk leaves out group lengths and padding when it sends."""
    read = pydicom.dcmread(io.BytesIO(file))
    for tag in [item.tag for item in read if item.tag.element == 0 or item.tag == 0xFFFCFFFC]:
        del read[tag]
    return read


def test_studies_are_arrivals_of_their_own_however_they_are_sent(product: Product, tmp_path: Path) -> None:
    receiver = Receiver(product)
    first = write_files(tmp_path / "first", series(3))
    second = write_files(tmp_path / "second", {"s2.dcm": image(9, SeriesInstanceUID="1.2.3")})
    other = write_files(
        tmp_path / "other", {"o.dcm": image(5, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.4")}
    )
    receiver.start()
    assert receiver.store(*first, *other).returncode == 0  # two studies in one association
    assert receiver.store(*second).returncode == 0  # the same study in another one
    product.wait_for_state("1.2", "done")
    product.wait_for_state(STUDY_UID, "done")
    sent = {
        f"{pydicom.dcmread(path).SeriesInstanceUID}/{pydicom.dcmread(path).SOPInstanceUID}.dcm": path.read_bytes()
        for path in (*first, *second, *other)
    }
    delivered = product.delivered()
    assert sorted(delivered) == sorted(sent)
    assert all(elements(delivered[name]) == elements(sent[name]) for name in sent)
    assert {arrival["sender"] for arrival in product.arrivals()} == {"MR1"}
    assert sorted(arrival["name"] for arrival in product.arrivals()) == ["1.2", STUDY_UID]
    assert {row["location"] for row in product.history()} == {"Scanner room 1"}
    assert [(one["aet"], one["host"], one["instances"], one["ended"]) for one in receiver.events()] == [
        ("MR1", "127.0.0.1", 4, "released"),
        ("MR1", "127.0.0.1", 1, "released"),
    ]
    assert not list(product.folder("inbox").iterdir())
