"""Receiving from scanners: what is acknowledged becomes an arrival, whole studies, from those who may send."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom

from certificates import make_certificate
from dicom.images import STUDY_UID, image, series
from dicom.receiver import AET, Receiver, write_files
from product import Product
from waiting import wait_until


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


def test_with_tls_only_senders_with_a_certificate_of_the_authority_send(
    sqlite_product: Product, tmp_path: Path
) -> None:
    server = make_certificate(tmp_path / "server", "receiver")
    sender = make_certificate(tmp_path / "sender", "scanner")
    other = make_certificate(tmp_path / "other", "stranger")
    keys: dict[str, Any] = {
        "certificate": str(server),
        "key": str(server.with_suffix(".key")),
        "ca": str(sender),
    }
    receiver = Receiver(sqlite_product, **keys)
    files = write_files(tmp_path / "files", series(3))

    def tls(certificate: Path) -> list[str]:
        return ["+tls", str(certificate.with_suffix(".key")), str(certificate), "+cf", str(server)]

    sqlite_product.start("run")
    wait_until(lambda: not receiver.echo(AET, *tls(sender)).returncode, what="an answer by TLS")
    assert receiver.store(*files, options=tls(other)).returncode != 0
    assert receiver.store(*files).returncode != 0
    assert receiver.store(*files, options=tls(sender)).returncode == 0
    assert sqlite_product.wait_for_state(STUDY_UID, "done")["items"] == 3
