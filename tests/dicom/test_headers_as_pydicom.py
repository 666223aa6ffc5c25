"""The quick reader gives what pydicom gives: for all of its files, and for what becomes of them by chance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom import config
from pydicom.datadict import keyword_dict
from pydicom.dataset import FileDataset

from dicom.samples import sample_files
from dropslot.dicom_files.headers import KEYWORDS, Header, NotDicom, read_headers

# What is taken for no DICOM, and what has a fault of its structure or pixels, of all that pydicom brings along.
_OTHERS = {
    *("FileInfo.txt", "hashes.json", "README", "README.md", "README.txt", "crayons.icc", "no_meta.dcm"),
    *("rtplan.dump", "rtstruct.dump", "test1.json", "test_PN.json", "zipMR.gz", "urls.json"),
}
_BROKEN = {
    "DICOMDIR-nooffset": "has an item of 248 bytes",
    "MR_small_padded.dcm": "its pixel data has 8320 bytes, its header demands 8192",
    "MR_truncated.dcm": "has 8192 bytes, 8130 are there",
    "SC_rgb_jpeg.dcm": "has no VR",
    "badVR.dcm": "no numbers",
    "chrJapMulti.dcm": "no pixel data",
    "chrJapMultiExplicitIR6.dcm": "no pixel data",
    "chrKoreanMulti.dcm": "no pixel data",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "no delimiter after its 11 fragments",
    "meta_missing_tsyntax.dcm": "not in the order of tags",
    "nested_priv_SQ.dcm": "not in the order of tags",
    "rtplan_truncated.dcm": "has 976 bytes, 711 are there",
    "winter.dcm": "not in the order of tags",
}


@pytest.fixture(autouse=True)
def _lenient() -> Iterator[None]:
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _text(value: Any) -> str:
    parts = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    texts = ["" if part is None else str(part) for part in parts]
    return "\\".join(texts) if any(texts) else ""


def _by_pydicom(content: bytes) -> Mapping[str, str]:
    """The values as `pydicom.dcmread` gives them."""
    read: FileDataset = pydicom.dcmread(BytesIO(content), force=True, stop_before_pixels=True)
    found = {}
    for keyword in KEYWORDS:
        source = read.file_meta if keyword_dict[keyword] >> 16 == 2 else read
        if keyword in source and (text := _text(source[keyword].value)):
            found[keyword] = text
    return found


def test_every_file_of_pydicom_gives_what_pydicom_gives() -> None:
    paths = sample_files()
    assert len(paths) > 240
    headers = read_headers([(path.name, lambda path=path: path.open("rb")) for path in paths])  # type: ignore[misc]
    others = {path.name for path, header in zip(paths, headers, strict=True) if isinstance(header, NotDicom)}
    assert others == _OTHERS
    for path, header in zip(paths, headers, strict=True):
        if isinstance(header, Header):
            assert header.values == _by_pydicom(path.read_bytes()), path.name
            faults = [each for each in header.faults if "UID" not in each]
            assert ([path.name] if faults else []) == [name for name in (path.name,) if name in _BROKEN], (
                faults
            )
            assert not faults or _BROKEN[path.name] in faults[0]
