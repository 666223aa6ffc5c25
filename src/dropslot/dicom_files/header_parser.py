"""Headers of DICOM files. Runs in a process without rights, see `dropslot.parsing.program`."""

from __future__ import annotations

import json
import re
from typing import Any

from dropslot.dicom_files.keywords import KEYWORDS
from dropslot.dicom_files.scan import by_pydicom
from dropslot.dicom_files.scan.stored_bytes import OnDisk
from dropslot.dicom_files.scan.whole_header import read_header

# Of the 64 KiB of an answer.
_ROOM = 60_000
_MOST_CHARACTERS = 400
_FEW_CHARACTERS = 64  # of one file whose values would not fit
_MOST_FAULTS = 20
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")

Answer = list[Any]


def prepare() -> None:
    """Load what Python would later look for in files."""
    by_pydicom.prepare()


def parse(descriptors: list[int], question: Any) -> list[Answer | None]:  # noqa: ARG001
    """For each file `[VALUES, FAULTS, READ_BYTES, READ_SHA256]`, with the values in the order
    of KEYWORDS, or `[REASON]` if it is not DICOM.
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
    stored = OnDisk(descriptor)
    reading = read_header(stored)
    if isinstance(reading, str):
        return [reading]
    values, faults, reach = reading
    cut = {keyword: _clean(keyword, text, most_characters, faults) for keyword, text in values.items()}
    cut_faults = [fault[:_MOST_CHARACTERS] for fault in faults[:_MOST_FAULTS]]
    return [[cut.get(keyword, "") for keyword in KEYWORDS], cut_faults, *stored.proof(reach)]


def _clean(keyword: str, text: str, most_characters: int, faults: list[str]) -> str:
    if len(text) > most_characters:
        faults.append(f"{keyword} has {len(text)} characters; only the first {most_characters} were read")
        text = text[:most_characters]
    return _NOT_TEXT.sub("\ufffd", text.rstrip("\0"))
