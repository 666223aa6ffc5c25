"""DICOM files for tests: copies of pydicom's CT_small with other identifiers."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

STUDY_UID, SERIES_UID = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"


@cache
def _sample(name: str) -> bytes:
    with open(str(get_testdata_file(name)), "rb") as file:
        return file.read()


def sample(name: str = "CT_small.dcm") -> pydicom.Dataset:
    """A new data set of one of pydicom's test files."""
    return pydicom.dcmread(io.BytesIO(_sample(name)))


def encoded(dataset: pydicom.Dataset) -> bytes:
    """A Part 10 file of a data set."""
    if "SOPInstanceUID" in dataset:
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def image(number: int = 1, **values: Any) -> bytes:
    """One image; `values` are attributes by keyword, None removes one."""
    dataset = sample()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY_UID, SERIES_UID
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[SERIES_UID, str(number)])
    dataset.PatientID, dataset.PatientName = "P-17", "Doe^Jane"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [0, 0, number * 2.5]
    for keyword, value in values.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return encoded(dataset)


def series(count: int, **values: Any) -> dict[str, bytes]:
    """Files of one series, `1.dcm` and so on."""
    return {f"{number}.dcm": image(number, **values) for number in range(1, count + 1)}
