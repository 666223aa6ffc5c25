"""CT images of 512 by 512 pixels, made from pydicom's CT_small: the same in every run, and quick to write."""

from __future__ import annotations

import functools
import io
import random
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

_SIDE = 512
_ROOT = "1.2.826.0.1.3680043.8.498"
# Of one length, so that the bytes of one image become another's.
_STUDY, _SERIES, _INSTANCE = f"{_ROOT}.1.99999", f"{_ROOT}.2.99999", f"{_ROOT}.3.9999999999"


@functools.cache
def template() -> bytes:
    """One image whose identifiers are replaced by those of another one."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = _STUDY, _SERIES, _INSTANCE
    dataset.file_meta.MediaStorageSOPInstanceUID = _INSTANCE
    dataset.PatientID, dataset.PatientName = "P-00000", "Phantom^00000"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.ImagesInAcquisition = 200
    dataset.PixelData = random.Random(1).randbytes(2 * _SIDE * _SIDE)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


SIZE_BYTES = 530_000


def image(series: int, number: int) -> bytes:
    """Image `number` of a series; each series has a study and a patient of its own."""
    head, tail = template()[:8192], template()[8192:]
    for text, other in (
        (_STUDY, f"{_ROOT}.1.1{series:04}"),
        (_SERIES, f"{_ROOT}.2.1{series:04}"),
        (_INSTANCE, f"{_ROOT}.3.1{series:04}{number:05}"),
        ("P-00000", f"P-1{series:04}"),
        ("Phantom^00000", f"Phantom^1{series:04}"),
    ):
        head = head.replace(text.encode(), other.encode())
    return head + tail


def write_series(folder: Path, series: int, count: int) -> None:
    """A folder with the images of one series."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05}.dcm").write_bytes(image(series, number))
