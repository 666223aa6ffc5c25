"""The machine's clock is set while images come and wait: nothing is lost, and what is said is true."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from clocks import Clock
from dicom.archives import AET, orthanc
from dicom.images import STUDY_UID, image, series
from dicom.receiver import Receiver, write_files
from dicom.test_commitment import asked, reported
from ports import free_port
from product import Product
from waiting import wait_until

DAY = 86_400  # seconds


def test_images_that_come_while_the_clock_is_set_are_all_delivered(
    sqlite_product: Product, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "site")
    receiver = Receiver(sqlite_product, quiet="1s")
    sqlite_product.start("run", PYTHONPATH=clock.path)
    receiver.wait_for_answer()
    numbers = iter(range(1, 100))
    association = receiver.associate()
    for step in (-DAY, -400 * DAY, 0, 400 * DAY):
        clock.step(step)
        for number, _ in zip(numbers, range(3), strict=False):
            dataset = pydicom.dcmread(io.BytesIO(image(number)))
            assert association.send_c_store(dataset).Status == 0
    association.release()
    sqlite_product.wait_for_state(STUDY_UID, "done")
    assert len(sqlite_product.delivered()) == 12
    clock.step(0)
    receiver.store(*write_files(tmp_path / "files", {"1.dcm": image(1, StudyInstanceUID="1.2.3")}))
    sqlite_product.wait_for_state("1.2.3", "done")
    assert [event["instances"] for event in receiver.events()] == [12, 1]
    assert sqlite_product.run("verify", "--fixity").status == 0


@pytest.mark.crash
def test_a_commitment_is_answered_though_the_clock_was_set_back(
    sqlite_product: Product, tmp_path: Path
) -> None:
    clock, port = Clock(tmp_path / "site"), free_port()
    allow = [{"aet": AET, "host": "127.0.0.1", "port": port}, {"aet": "MR1"}]
    receiver = Receiver(sqlite_product, allow=allow, commitment="3s")
    clock.step(400 * DAY)
    sqlite_product.start("run", PYTHONPATH=clock.path)
    receiver.wait_for_answer()
    with orthanc(tmp_path / "archive", receiver.port, port) as archive:
        archive.store(write_files(tmp_path / "files", series(1)))
        request = {"Resources": asked(archive, "/instances")}
        never = asked(archive, "/modalities/dropslot/storage-commitment", request)["ID"]
        clock.step(0)
        report = wait_until(lambda: reported(archive, never), deadline_seconds=60, what="a report")
    assert report is not None and report["Status"] == "Failure"
