"""The quick reader gives what pydicom gives: for all of its files, and for what becomes of them by chance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.charset import python_encoding
from pydicom.datadict import keyword_dict
from pydicom.dataset import FileDataset

from dicom.samples import sample_files
from dropslot.dicom_files.headers import KEYWORDS, Header, NotDicom, read_headers
from dropslot.dicom_files.scan import by_pydicom, element_walk, whole_header
from dropslot.dicom_files.scan.plain_values import plain_text
from lanes import examples

# What is taken for no DICOM, and what has a fault of its structure or pixels, of all that pydicom brings along.
_OTHERS = {
    *("FileInfo.txt", "hashes.json", "README", "README.md", "README.txt", "crayons.icc", "no_meta.dcm"),
    *("rtplan.dump", "rtstruct.dump", "test1.json", "test_PN.json", "zipMR.gz", "urls.json"),
}
_BROKEN = {
    "DICOMDIR-nooffset": "has an item of 248 bytes",
    "MR_small_padded.dcm": "its pixel data has 8320 bytes, its header demands 8192",
    "MR_truncated.dcm": "has 8192 bytes, 8130 are there",
    "SC_rgb_jpeg.dcm": "has an unknown VR",
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


class _InMemory:
    """Stored bytes that are in memory."""

    def __init__(self, content: bytes) -> None:
        self._content, self.size = content, len(content)

    def read(self, at: int, count: int) -> bytes:
        return self._content[at : at + count]


_SMALL = [content for path in sample_files() if len(content := path.read_bytes()) < 60_000]
_PIECES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0")
_LETTERS = [bytes([letter]) for letter in b"\\ ^=\0\x1b0123456789.-+eE\x80\xff\n"]
_PIECE = st.sampled_from((*_PIECES, *_LETTERS)) | st.binary(max_size=8)
_CHANGE = st.tuples(st.integers(0, 3000), st.sampled_from((0, 1, 2, 4, 100)), _PIECE)


@pytest.mark.deep
@settings(max_examples=examples(100, 400), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(_SMALL), st.lists(_CHANGE, min_size=1, max_size=4))
def test_a_changed_file_gives_what_pydicom_gives_or_is_at_fault(
    content: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for at, removed, added in changes:
        content = content[:at] + added + content[at + removed :]
    found = whole_header.read_header(_InMemory(content))
    if isinstance(found, str) or any("UID" not in fault and "pixel" not in fault for fault in found.faults):
        return
    try:
        expected = _by_pydicom(content)
    except Exception:  # noqa: BLE001 - it gives nothing to compare with
        return
    assert found.values == expected


_TEXTS = ("LO", "SH", "UC", "PN", "LT", "ST", "UT", "CS", "AE", "DA", "TM", "DT", "AS", "UI", "IS", "DS")


@pytest.mark.deep
@settings(max_examples=examples(75, 300), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(_TEXTS), st.lists(st.sampled_from(_LETTERS), max_size=12), st.booleans())
def test_a_plain_value_is_what_pydicom_makes_of_it(vr: str, letters: list[bytes], is_utf8: bool) -> None:
    raw = element_walk.Raw(vr.encode(), 1, b"".join(letters))
    encodings = by_pydicom.Encodings(["UTF8" if is_utf8 else "iso8859"], has_ascii=True, fault="")
    text = plain_text(raw.vr, b"".join(letters), little=True)
    if text is not None:
        assert text == by_pydicom.text_of_raw(0x00100020, raw, element_walk.EXPLICIT, encodings)


def test_every_character_set_of_dicom_has_ascii_in_it() -> None:
    printable = bytes(range(0x20, 0x7F))
    assert {printable.decode(encoding) for encoding in python_encoding.values()} == {
        printable.decode("ascii")
    }
