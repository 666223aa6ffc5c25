"""Requests for storage commitment (PS3.4 J.3). Runs in a process without rights, see `dropslot.parsing.program`."""

from __future__ import annotations

import os
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

# Of the 64 KiB of an answer: two UIDs of 64 characters each.
_AT_ONCE = 400


def parse(descriptors: list[int], question: Any) -> dict[str, Any]:
    """The transaction, how many instances it is about, and those from `question["from"]` on, as many as there is room
    for: `[SOPClassUID, SOPInstanceUID]`. `question["syntax"]` is the transfer syntax."""
    syntax = UID(question["syntax"])
    with os.fdopen(os.dup(descriptors[0]), "rb") as file:
        file.seek(0)
        request = read_dataset(file, syntax.is_implicit_VR, syntax.is_little_endian)
        return _answer(request, int(question["from"]))


def _answer(request: Dataset, first: int) -> dict[str, Any]:
    asked = request.get("ReferencedSOPSequence") or []
    return {
        "transaction": _text(request, "TransactionUID"),
        "count": len(asked),
        "instances": [
            [_text(item, "ReferencedSOPClassUID"), _text(item, "ReferencedSOPInstanceUID")]
            for item in asked[first : first + _AT_ONCE]
        ],
    }


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword, ""))[:64]
