"""Headers of DICOM files. Runs in a process without rights, see `dropslot.parsing.program`."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from dropslot.dicom_files import by_pydicom
from dropslot.dicom_files.keywords import KEYWORDS

# Of the 64 KiB of an answer.
_ROOM = 60_000
_MOST_CHARACTERS = 400
_FEW_CHARACTERS = 64  # of one file whose values would not fit
_MOST_FAULTS = 20
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UIDS = tuple(keyword for keyword in KEYWORDS if keyword.endswith("UID"))
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")

# ["", value of each keyword, faults] or [why it is not DICOM]
Answer = list[Any]


def prepare() -> None:
    """Load what Python would later look for in files."""
    by_pydicom.prepare()


def parse(descriptors: list[int], question: Any) -> list[Answer | None]:  # noqa: ARG001
    """For each file `[VALUES, FAULTS]`, with the values in the order of KEYWORDS, or `[REASON]` if it is not DICOM.
    None: there was no room for it; ask for it alone."""
    answers: list[Answer | None] = []
    room = _ROOM
    for descriptor in descriptors:
        answer = _answer(descriptor, _MOST_CHARACTERS)
        size = _size(answer)
        if size > _ROOM:
            answer = _answer(descriptor, _FEW_CHARACTERS)
            size = _size(answer)
        answers.append(answer if size <= room else None)
        room -= min(size, room)
    return answers


def _size(answer: Answer) -> int:
    return len(json.dumps(answer))


def _answer(descriptor: int, most_characters: int) -> Answer:
    os.lseek(descriptor, 0, os.SEEK_SET)
    file = io.BufferedReader(io.FileIO(descriptor, closefd=False), 16 * 1024)
    try:
        values, faults = by_pydicom.values_of(file)
    except (Exception, RecursionError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        return [f"pydicom cannot read it ({type(error).__name__})"]
    if "SOPClassUID" not in values and "MediaStorageSOPClassUID" not in values:
        return ["it is not a DICOM file, or has no SOPClassUID"]
    faults = [*faults, *_faults_of_uids(values)]
    cut = {keyword: _clean(keyword, text, most_characters, faults) for keyword, text in values.items()}
    return [[cut.get(keyword, "") for keyword in KEYWORDS], [fault[:300] for fault in faults[:_MOST_FAULTS]]]


def _faults_of_uids(values: Mapping[str, str]) -> list[str]:
    faults = [
        f"{keyword} is not a valid UID"
        for keyword in _UIDS
        if keyword in values and not (_UID.fullmatch(values[keyword]) and len(values[keyword]) <= 64)
    ]
    for inside, outside in (
        ("SOPInstanceUID", "MediaStorageSOPInstanceUID"),
        ("SOPClassUID", "MediaStorageSOPClassUID"),
    ):
        if inside in values and values[inside] != values.get(outside, values[inside]):
            faults.append(f"{inside} and {outside} differ")
    return faults


def _clean(keyword: str, text: str, most_characters: int, faults: list[str]) -> str:
    if len(text) > most_characters:
        faults.append(f"{keyword} has {len(text)} characters; only the first {most_characters} were read")
        text = text[:most_characters]
    return _NOT_TEXT.sub("\ufffd", text)
