"""All elements of a DICOM file as a table. Runs in a process without rights, see `dropslot.parsing.program`.

Besides the file it gets memory to write into: a table may be larger than an answer.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import re
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom.datadict import private_dictionary_description
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dropslot.dicom_files.scan import by_pydicom
from dropslot.dicom_files.scan.element_walk import MOST_VALUE_BYTES

MOST_ROWS = 2000
MOST_DEEP = 8
MOST_ITEMS = 20  # of one sequence
MOST_CHARACTERS = 300
_CANNOT = (Exception, RecursionError, MemoryError)
_UNSHOWN = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u206f\ufeff\ud800-\udfff]")
# Depth, tag, keyword or name, VR, value.
Row = tuple[int, str, str, str, str]


def prepare() -> None:
    """Load what Python would later look for in files."""
    by_pydicom.prepare()


def parse(descriptors: list[int], question: dict[str, int]) -> dict[str, Any]:
    """The elements of the first descriptor's file, as JSON in the second one, which holds `most_bytes`:
    `{"bytes", "cut"}`, or `{"error": WORDS}`."""
    descriptor, memory = descriptors
    os.lseek(descriptor, 0, os.SEEK_SET)
    file = io.BufferedReader(io.FileIO(descriptor, closefd=False), 16 * 1024)
    try:
        read = pydicom.dcmread(file, force=True, stop_before_pixels=True, defer_size=MOST_VALUE_BYTES)
    except _CANNOT as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        return {"error": type(error).__name__}
    if read.preamble is None and "SOPClassUID" not in read:
        return {"error": "it is not DICOM"}
    with mmap.mmap(memory, question["most_bytes"], mmap.MAP_SHARED) as written:
        return _write(read, written)


def _write(read: pydicom.FileDataset, written: mmap.mmap) -> dict[str, Any]:
    at, cut = written.write(b"["), False
    for number, row in enumerate((*_rows(read.file_meta, 0), *_rows(read, 0))):
        text = (b"," if number else b"") + json.dumps(row).encode("ascii")
        cut = number >= MOST_ROWS or at + len(text) + 1 > len(written)
        if cut:
            break
        at += written.write(text)
    return {"bytes": at + written.write(b"]"), "cut": cut}


def _rows(dataset: Dataset, depth: int) -> Iterator[Row]:
    for tag in sorted(dataset.keys()):
        try:
            raw = dataset.get_item(tag, keep_deferred=True)
            if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
                yield depth, str(tag), "", str(raw.VR or ""), f"{raw.length:,} bytes, not shown"
                continue
            element = dataset[tag]
            yield depth, str(tag), _name(element), element.VR, _value(element)
        except _CANNOT as error:
            yield depth, str(tag), "", "", f"cannot be read: {type(error).__name__}"
            continue
        if element.VR == "SQ":
            yield from _items(element, depth + 1)


def _items(element: DataElement, depth: int) -> Iterator[Row]:
    for number, item in enumerate(element.value or (), 1):
        if number > MOST_ITEMS or depth > 2 * MOST_DEEP:
            yield depth, "", "", "", "more is not shown"
            return
        yield depth, "", f"Item {number}", "", ""
        yield from _rows(item, depth + 1)


def _name(element: DataElement) -> str:
    if element.keyword:
        return str(element.keyword)
    tag: BaseTag = element.tag
    if tag.is_private and element.private_creator:
        try:
            return _shown(private_dictionary_description(tag, element.private_creator))
        except KeyError:
            return _shown(f"Private, {element.private_creator}")
    return "Private" if tag.is_private else "Unknown"


def _value(element: DataElement) -> str:
    if element.VR == "SQ":
        return f"{len(element.value or ()):,} items"
    if isinstance(element.value, bytes):
        return f"{len(element.value):,} bytes"
    text = by_pydicom.text_of(element.value)
    return "" if text is None else _shown(text)


def _shown(text: str) -> str:
    """What no text of a stranger can do: hide, turn others around, or go on for ever."""
    text = _UNSHOWN.sub("\ufffd", text.replace("\r\n", " ").replace("\n", " ").replace("\r", " "))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
