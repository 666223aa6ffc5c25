"""De-identifies bytes as the process without rights does, in this process."""

from __future__ import annotations

import os
from typing import Any

import pydicom

from dropslot.dicom_files.deidentifier import confined

ROOM = 64 << 20
KEY = "5e" * 32
QUESTION: dict[str, Any] = {
    "key": KEY,
    "options": [],
    "dates": "remove",
    "accept": [],
    "recipe": [],
    "labels": [],
    "given": {},
    "method": ["a test"],
    "most_bytes": ROOM,
}


def asked(data: bytes, **question: Any) -> tuple[dict[str, Any], bytes]:
    """The answer for a file, and the bytes that would be delivered."""
    confined.prepare()
    source, memory = os.memfd_create("source"), os.memfd_create("made")
    try:
        os.write(source, data)
        os.truncate(memory, ROOM)
        answer = confined.parse([source, memory], QUESTION | question)
        if "refused" in answer:
            return answer, b""
        head, tail = os.pread(memory, answer["head"], 0), os.pread(memory, answer["tail"], answer["head"])
    finally:
        os.close(source)
        os.close(memory)
    at, size = answer["pixels"]
    return answer, head + data[at : at + size] + tail


def deidentified(data: bytes, **question: Any) -> bytes:
    """The bytes that would be delivered; the file must not be refused."""
    answer, made = asked(data, **question)
    assert "refused" not in answer, answer["refused"]
    return made


def refused(data: bytes, **question: Any) -> str:
    """Why a file is refused."""
    answer, _ = asked(data, **question)
    return "; ".join(answer["refused"])


def read(data: bytes) -> pydicom.FileDataset:
    """Parsed by pydicom."""
    import io

    return pydicom.dcmread(io.BytesIO(data))
