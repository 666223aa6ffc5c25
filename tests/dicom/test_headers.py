"""Headers as the process without rights reads them: equal to pydicom's, and a word about each fault."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pydicom
import pytest

from dicom.samples import sample, sample_files
from dropslot.dicom_files.headers import Header, NotDicom, read_headers
from dropslot.parsing import process


@pytest.fixture(autouse=True, scope="module")
def _one_process() -> Iterator[None]:
    yield
    process.close()


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _headers(paths: list[Path]) -> list[Header | NotDicom]:
    return read_headers([(path.name, _opener(path)) for path in paths])


def _header_of(content: bytes) -> Header | NotDicom:
    return read_headers([("item.dcm", lambda: io.BytesIO(content))])[0]


def test_names_in_every_character_set() -> None:
    paths = [path for path in sample_files() if path.name.startswith("chr") and "SQ" not in path.name]
    assert len(paths) == 15
    for path, header in zip(paths, _headers(paths), strict=True):
        assert isinstance(header, Header)
        assert header.values["PatientName"] == str(pydicom.dcmread(path).PatientName)


def test_values_of_a_usual_file() -> None:
    (header,) = _headers([sample("CT_small.dcm")])
    assert isinstance(header, Header)
    assert not header.faults
    assert header.values["PatientID"] == "1CT1"
    assert header.values["ImageType"] == "ORIGINAL\\PRIMARY\\AXIAL"
    assert header.values["Rows"] == "128"


def test_text_is_not_dicom() -> None:
    assert isinstance(_header_of(b"hello" * 100), NotDicom)
