"""What a receiver finds again, and what becomes of it when its notes are damaged or an inbox is away."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dicom.images import STUDY_UID, image, series
from dicom.receiver import Receiver, write_files
from dicom.test_receive_bad import send
from ports import free_port
from product import STUDY, Product
from waiting import wait_until


@pytest.mark.parametrize("about", [b"\xff", b'{"aet": 7}', None])
def test_instances_are_delivered_also_if_the_note_of_who_sent_them_is_lost(
    sqlite_product: Product, about: bytes | None
) -> None:
    receiver = Receiver(sqlite_product)
    inbox = sqlite_product.folder("inbox")
    reception, study = inbox / ".dropslot-dicom-a-left", inbox / ".dropslot-dicom-s-left"
    write_files(reception, {"00000001-1.2.3.dcm": image(1)})
    write_files(study / "data" / "1.2", {"1.2.3.4.dcm": image(2)})
    for folder in (reception, study):
        if about is not None:
            (folder / "about.json").write_bytes(about)
    receiver.start()
    wait_until(lambda: len(sqlite_product.arrivals("--state", "done")) == 2, what="both arrivals")
    assert sorted(sqlite_product.delivered().values()) == sorted([image(1), image(2)])
    wait_until(lambda: not list(inbox.iterdir()), what="an empty inbox")


@pytest.mark.crash
def test_an_inbox_that_is_away_holds_up_no_other_and_is_used_again(
    sqlite_product: Product, tmp_path: Path
) -> None:
    receiver = Receiver(sqlite_product)
    port = free_port()
    other = STUDY | {"folders": "./other", "import": "dicom", "takes": "directories"}
    other |= {"receive": {"aet": "OTHER", "listen": f"127.0.0.1:{port}", "quiet": "300ms"}}
    sqlite_product.configure({**receiver.routes, "other": other | {"deliver": [{"to": "./studies/other"}]}})
    (sqlite_product.studies / "other").mkdir()
    inbox, aside = sqlite_product.folder("inbox"), tmp_path / "aside"
    (file,) = write_files(tmp_path / "files", series(1))
    receiver.start()
    pid = receiver.pid()
    association = receiver.associate()
    assert send(association, 1) == 0
    inbox.rename(aside)
    assert receiver.store(file, called="OTHER", port=port).returncode == 0
    sqlite_product.wait_for_state(STUDY_UID, "done")
    association.release()
    assert receiver.store(file).returncode == 0
    wait_until(lambda: len(sqlite_product.arrivals("--state", "done")) == 2, what="what came there")
    for folder in aside.iterdir():
        folder.rename(inbox / folder.name)
    wait_until(lambda: len(sqlite_product.arrivals("--state", "done")) == 3, what="what was away")
    assert receiver.pid() == pid


def test_a_reception_that_somebody_removes_stops_nothing(sqlite_product: Product, tmp_path: Path) -> None:
    receiver = Receiver(sqlite_product, quiet="2s")
    (file,) = write_files(tmp_path / "files", series(1))
    receiver.start()
    association = receiver.associate()
    assert send(association, 2) == 0
    for folder in sqlite_product.folder("inbox").iterdir():
        shutil.rmtree(folder)
    assert send(association, 3) != 0
    association.release()
    assert receiver.store(file).returncode == 0
    sqlite_product.wait_for_state(STUDY_UID, "done")
    assert len(sqlite_product.delivered()) == 1
