"""CT images, usually of 512 by 512 pixels, made from pydicom's CT_small: the same in every run, and quick to write."""

from __future__ import annotations

import functools
import io
import random
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import UID

_SIDE = 512  # pixels
_TINY_SIDE = 16
_IN_SERIES = 200
_ROOT = "1.2.826.0.1.3680043.8.498"
# Of one length, so that the bytes of one image become another's.
_STUDY, _SERIES, _INSTANCE = f"{_ROOT}.1.99999", f"{_ROOT}.2.99999", f"{_ROOT}.3.9999999999"


@functools.cache
def template(side: int = _SIDE, in_series: int = _IN_SERIES) -> bytes:
    """One image whose identifiers are replaced by those of another one; its header states the length of its series."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = _STUDY, _SERIES, _INSTANCE
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(_INSTANCE)
    dataset.PatientID, dataset.PatientName = "P-00000", "Phantom^00000"
    dataset.Rows = dataset.Columns = side
    dataset.ImagesInAcquisition = in_series
    dataset.PixelData = random.Random(1).randbytes(2 * side * side)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


SIZE_BYTES = 530_000


def image(series: int, number: int, side: int = _SIDE, in_series: int = _IN_SERIES) -> bytes:
    """Image `number` of a series; each series has a study and a patient of its own."""
    whole = template(side, in_series)
    head, tail = whole[:8192], whole[8192:]
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


def write_tiny_study(folder: Path, number: int) -> None:
    """A folder with the one image, of 16 by 16 pixels, of one study."""
    folder.mkdir(parents=True)
    (folder / "image.dcm").write_bytes(image(number, 0, _TINY_SIDE, 1))
