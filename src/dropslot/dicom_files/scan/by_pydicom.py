"""The values of a header, as pydicom reads them. Runs in the process without rights, see `header_parser`."""

from __future__ import annotations

import codecs
import os
import warnings
from functools import cache, lru_cache
from typing import Any, BinaryIO, NamedTuple, cast

import pydicom
from pydicom import config
from pydicom.charset import convert_encodings, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from dropslot.dicom_files.keywords import KEYWORDS
from dropslot.dicom_files.scan.element_walk import MOST_VALUE_BYTES, PIXELS, UNDEFINED, Raw, Syntax
from dropslot.dicom_files.scan.stored_bytes import StoredBytes

META_LAST = 0x0002FFFF
CHARACTER_SET = 0x00080005
# At once; pydicom never needs more for what is read here.
_MOST_READ = 1 << 20
_ENCODINGS = frozenset(python_encoding.values())
_OTHER_ENCODINGS = _ENCODINGS - {default_encoding}


class Known(NamedTuple):
    """An element that is read."""

    keyword: str
    vr: bytes


TAGS = {
    tag: Known(keyword, dictionary_VR(tag).encode())
    for keyword, tag in ((keyword, keyword_dict[keyword]) for keyword in KEYWORDS)
}
_IN_DATA_SET: list[BaseTag | int] = [BaseTag(tag) for tag in TAGS if tag > META_LAST]


def prepare() -> None:
    """Load what Python would later look for in files. Let pydicom take what it can read, without warnings: faults
    are found by other means."""
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)
    config.settings.reading_validation_mode = config.IGNORE
    config.logger.disabled = True
    warnings.simplefilter("ignore")
    sequences()


@cache
def sequences() -> frozenset[int]:
    """The tags whose VR is SQ."""
    return frozenset(tag for tag in keyword_dict.values() if dictionary_VR(tag) == "SQ")


class Encodings(NamedTuple):
    """Python's names for a data set's character sets. `has_ascii`: its bytes of ASCII are ASCII."""

    names: list[str]
    has_ascii: bool
    fault: str


@lru_cache(maxsize=256)
def encodings_of(raw: Raw | None, syntax: Syntax) -> Encodings:
    """The encodings that SpecificCharacterSet names. Those that nobody knows are read as ISO 8859-1."""
    if raw is None or not raw.length:
        return Encodings([default_encoding], has_ascii=True, fault="")
    try:
        value = convert_raw_data_element(_raw_element(CHARACTER_SET, raw, syntax)).value
        names = convert_encodings(value)
        is_known = all(map(_is_known, [value] if isinstance(value, str) else value))
    except Exception:  # noqa: BLE001 - whatever a stranger's value makes pydicom raise
        names, is_known = [default_encoding], False
    fault = "" if is_known else "SpecificCharacterSet names a character set that is not one of DICOM"
    return Encodings(names, names[0] in _ENCODINGS, fault)


def _is_known(character_set: str) -> bool:
    """Whether it is one of DICOM, or one that is spelled wrong in a usual way: ISO-IR 100."""
    return character_set in python_encoding or convert_encodings([character_set])[0] in _OTHER_ENCODINGS


def text_of_raw(tag: int, raw: Raw, syntax: Syntax, encodings: Encodings) -> str | None:
    """One value as text, empty if there is none; None if pydicom cannot read it, or it has no text."""
    names = None if tag <= META_LAST or tag == CHARACTER_SET else encodings.names
    try:
        return text_of(convert_raw_data_element(_raw_element(tag, raw, syntax), encoding=names).value)
    except Exception:  # noqa: BLE001 - whatever a stranger's value makes pydicom raise
        return None


def _raw_element(tag: int, raw: Raw, syntax: Syntax) -> RawDataElement:
    vr = raw.vr.decode() or None
    return RawDataElement(BaseTag(tag), vr, raw.length, raw.value, 0, not syntax.explicit, syntax.little)


def values_of(stored: StoredBytes, *, has_meta: bool) -> tuple[dict[str, str], list[str]]:
    """The values of a whole file, or of a data set alone in explicit VR, little endian; a sentence for each that
    cannot be read. Raises whatever pydicom raises."""
    file = cast(BinaryIO, _File(stored))
    options: dict[str, Any] = {"specific_tags": list(_IN_DATA_SET)}
    values: dict[str, str] = {}
    faults: list[str] = []
    if has_meta:
        read: Dataset = (whole := pydicom.dcmread(file, force=True, stop_before_pixels=True, **options))
        _take(whole.file_meta, values, faults)
    else:
        read = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag in PIXELS, **options)
    _take(read, values, faults)
    return values, faults


def _take(source: Dataset, values: dict[str, str], faults: list[str]) -> None:
    for tag, known in TAGS.items():
        if tag not in source:
            continue
        try:
            raw = source.get_item(tag)
            if isinstance(raw, RawDataElement) and MOST_VALUE_BYTES < raw.length < UNDEFINED:
                faults.append(f"{known.keyword} has {raw.length} bytes; it was not read")
                continue
            text = text_of(source[tag].value)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's value makes pydicom raise
            faults.append(f"{known.keyword} cannot be read ({type(error).__name__})")
            continue
        if text is None:
            faults.append(f"{known.keyword} is not a text or number")
        elif text:
            values[known.keyword] = text


def text_of(value: Any) -> str | None:
    """The value as text; several joined by a backslash; empty if there is none; None if it has no text."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | PersonName):
        return str(value)
    if isinstance(value, bytes | Dataset) or not hasattr(value, "__iter__"):
        return None
    parts = [text_of(each) for each in value]
    if any(part is None for part in parts):
        return None
    return "\\".join(part or "" for part in parts) if any(parts) else ""


class _File:
    """Bytes as pydicom asks for them. Of a longer piece it gives only the beginning, so that memory stays small."""

    def __init__(self, stored: StoredBytes) -> None:
        self._stored, self._at = stored, 0

    def read(self, count: int = -1) -> bytes:
        count = self._stored.size if count < 0 else count
        some = self._stored.read(self._at, min(count, _MOST_READ))
        self._at = min(self._at + count, max(self._stored.size, self._at))
        return some

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stored.size}[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at
