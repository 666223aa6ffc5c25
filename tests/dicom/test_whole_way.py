"""The whole way of a study: storescu, dropslot, de-identified, Orthanc and a folder. Every instance is accounted for,
and nothing that was delivered tells who the patient is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicom.images import SERIES_UID, STUDY_UID, encoded, sample
from dicom.receiver import Receiver, write_files
from dicom.tables import image_rows
from dropslot.destinations.base import LISTS_INSTANCES
from nodes import Orthanc
from product import Product, read_tree

# Each is in the study, at its top level or nested, and must be in nothing that was delivered.
IDENTIFYING = {
    "PatientName": "Tremaine^Odalys",
    "PatientID": "MRN-90417",
    "OtherPatientIDs": "OLD-55231",
    "PatientAddress": "17 Quillfeather Lane",
    "PatientTelephoneNumbers": "555-0173",
    "AccessionNumber": "ACC-3381",
    "InstitutionName": "Hollowmere General",
    "ReferringPhysicianName": "Vantongeren^Piet",
    "StationName": "SCANNER-QX9",
    "StudyDescription": "Knee of Tremaine",
}
BIRTH_DATE, STUDY_DATE = "19610423", "20260217"


def _identified(dataset: Dataset, series: str, number: int, **more: Any) -> bytes:
    """One file of the study, with the identifying values at its top level and in a sequence."""
    values = {
        **IDENTIFYING, "PatientBirthDate": BIRTH_DATE, "StudyDate": STUDY_DATE, "StudyInstanceUID": STUDY_UID,
        "SeriesInstanceUID": series, "SOPInstanceUID": generate_uid(entropy_srcs=[series, str(number)]),
        "InstanceNumber": number, **more,
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    nested = Dataset()
    for keyword in ("PatientName", "PatientID", "InstitutionName", "AccessionNumber"):
        setattr(nested, keyword, IDENTIFYING[keyword])
    dataset.RequestAttributesSequence = [nested]
    return encoded(dataset)


def _report() -> Dataset:
    """A structured report whose text names the patient."""
    report = sample("reportsi.dcm")
    named = Dataset()
    named.RelationshipType, named.ValueType = "CONTAINS", "PNAME"
    named.PersonName = IDENTIFYING["PatientName"]
    said = Dataset()
    said.RelationshipType, said.ValueType = "CONTAINS", "TEXT"
    said.TextValue = f"Seen at {IDENTIFYING['InstitutionName']}: {IDENTIFYING['PatientID']}"
    report.ContentSequence.extend([named, said])
    return report


def study() -> dict[str, bytes]:
    """Three CT images, two MR images and a report, by SOPInstanceUID."""
    ct = [
        _identified(sample(), f"{SERIES_UID}.1", n, ImagesInAcquisition=3, ImagePositionPatient=[0, 0, n * 2.5])
        for n in (1, 2, 3)
    ]  # fmt: skip
    mr = [_identified(sample("MR_small.dcm"), f"{SERIES_UID}.2", n) for n in (1, 2)]
    sr = _identified(_report(), f"{SERIES_UID}.3", 1)
    return {str(_read(file).SOPInstanceUID): file for file in (*ct, *mr, sr)}


def test_a_study_is_received_de_identified_and_sent_on_whole(
    product: Product, orthanc: Orthanc, tmp_path: Path
) -> None:
    sent = study()
    receiver = Receiver(
        product,
        {
            "deidentify": {"profile": "basic", "dates": "shift"},
            "deliver": [
                {"to": "./studies/{PatientID}/{StudyInstanceUID}"},
                {"to": orthanc.to, "verify": "find"},
            ],
        },
    )
    receiver.start()
    files = write_files(tmp_path / "scanner", {f"{uid}.dcm": file for uid, file in sent.items()})
    assert receiver.store(*files, options=("-R",)).returncode == 0
    product.wait_for_state(STUDY_UID, "done")

    in_folder, in_orthanc = product.delivered(), orthanc.files()
    delivered = {str(_read(file).SOPInstanceUID): file for file in in_folder.values()}
    _each_was_sent(product, delivered, sent)
    assert in_orthanc.keys() == delivered.keys()
    assert all(_read(in_orthanc[uid]) == _read(file) for uid, file in delivered.items())
    _all_is_recorded(product, orthanc, in_folder)
    _tells_nothing(
        {**in_folder, **in_orthanc}, read_tree(product.studies, hidden=()), image_rows(product), sent
    )
    kept = product.folder("done") / STUDY_UID
    assert sorted(path.stem for path in kept.rglob("*.dcm")) == sorted(sent)
    assert "OK" in product.run("verify", "--fixity").stdout


def _read(file: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(file))


def _each_was_sent(product: Product, delivered: Mapping[str, bytes], sent: Mapping[str, bytes]) -> None:
    """Each delivered instance is one that was sent, with its image."""
    opened = product.run("reidentify", *delivered, "--reason", "a test", "--json").objects
    originals = {row["value"]: row["original"] for row in opened}
    assert sorted(originals[uid] for uid in delivered) == sorted(sent)
    for uid, file in delivered.items():
        was, now = _read(sent[originals[uid]]), _read(file)
        assert (was.Modality, was.get("PixelData")) == (now.Modality, now.get("PixelData"))
        assert now.PatientIdentityRemoved == "YES"


def _all_is_recorded(product: Product, orthanc: Orthanc, files: Mapping[str, bytes]) -> None:
    """In the tables of images, in the deliveries, and in the receipt."""
    rows = image_rows(product)
    assert sorted(row["instance.size_bytes"] for row in rows) == sorted(map(len, files.values()))
    assert {row["series.modality"]: (row["series.instances"], row["series.verdict"]) for row in rows} == {
        "CT": (3, "CONSISTENT"), "MR": (2, "UNKNOWN"), "SR": (1, "UNKNOWN"),
    }  # fmt: skip
    assert len({(row["patient.patient_id"], row["study.study_uid"]) for row in rows}) == 1
    history = product.history()
    recorded = sorted((row["instance.item"], row["instance.sha256"]) for row in rows)
    for destination in {row["destination"] for row in history}:
        there = [(row["item"], row["sha256"]) for row in history if row["destination"] == destination]
        assert sorted(there) == recorded
    (arrival,) = product.arrivals()
    assert (arrival["items"], arrival["sender"]) == (len(files), "MR1")
    receipt, _ = json.JSONDecoder().raw_decode(product.run("receipt", arrival["id"]).stdout)
    assert receipt["outcomes"] == {"delivered": 2 * len(files)}
    assert f"{LISTS_INSTANCES}: {orthanc.to}" in receipt["guarantees"]
    assert len(receipt["manifests"]) == 2


def _tells_nothing(
    files: Mapping[str, bytes],
    tree: Mapping[str, bytes],
    rows: Iterable[Mapping[str, Any]],
    sent: Iterable[str],
) -> None:
    """No identifying value, date or UID is in a file, a name, a manifest, or the tables of images."""
    everything = [
        *files.values(),
        *tree.values(),
        *map(str.encode, (*files, *tree)),
        json.dumps([{**row, "arrival": ""} for row in rows]).encode(),  # its name is the sender's
    ]
    parts = [part for value in IDENTIFYING.values() for part in value.split("^")]
    values = [*parts, BIRTH_DATE, STUDY_DATE, STUDY_UID, SERIES_UID, *sent]
    found = [
        (value, text[max(0, at - 40) : at + 60])
        for value in values
        for text in everything
        if (at := text.find(value.encode())) >= 0
    ]
    assert found == []
