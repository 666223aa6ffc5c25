"""The values of a header, as pydicom reads them. Runs in the process without rights, see `header_parser`."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

import pydicom
from pydicom import config
from pydicom.charset import python_encoding
from pydicom.datadict import keyword_dict
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from dropslot.dicom_files.keywords import KEYWORDS

MOST_VALUE_BYTES = 64 * 1024
_TAGS: Mapping[str, int] = {keyword: keyword_dict[keyword] for keyword in KEYWORDS}
_IN_DATA_SET = [tag for tag in _TAGS.values() if tag >> 16 > 2]


def prepare() -> None:
    """Load what Python would later look for in files. Let pydicom take what it can read, without warnings: faults
    are found by other means."""
    for encoding in python_encoding.values():
        codecs.lookup(encoding)
    config.settings.reading_validation_mode = config.IGNORE
    config.logger.disabled = True
    warnings.simplefilter("ignore")


def values_of(file: BinaryIO) -> tuple[dict[str, str], list[str]]:
    """The values of KEYWORDS, and a sentence for each that cannot be read. Raises what pydicom raises."""
    read = pydicom.dcmread(
        file,
        force=True,
        stop_before_pixels=True,
        specific_tags=list(_IN_DATA_SET),
        defer_size=MOST_VALUE_BYTES,
    )
    values: dict[str, str] = {}
    faults: list[str] = []
    for keyword, tag in _TAGS.items():
        source = read.file_meta if tag >> 16 == 2 else read
        if tag in source:
            _take(source, keyword, tag, values, faults)
    return values, faults


def _take(source: Dataset, keyword: str, tag: int, values: dict[str, str], faults: list[str]) -> None:
    raw = source.get_item(tag)
    if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
        faults.append(f"{keyword} has {raw.length} bytes; it was not read")
        return
    try:
        text = text_of(source[tag].value)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's value makes pydicom raise
        faults.append(f"{keyword} cannot be read: {type(error).__name__}")
        return
    if text is None:
        faults.append(f"{keyword} is not a text or number")
    elif text:
        values[keyword] = text


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
