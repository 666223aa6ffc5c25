"""STOW-RS: one instance for each request, the file byte by byte as it is."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from dropslot.core.names import escape
from dropslot.destinations.dicomweb.http_requests import Answer, Body, Requests
from dropslot.destinations.dicomweb.service_access import Access, unready
from dropslot.destinations.instances import WARNINGS, Outgoing, first_few

_PIECE_BYTES = 2**20
# The elements of an answer (PS3.18, table I.2-1).
_STORED, _FAILED = "00081199", "00081198"
_UID, _WARNING, _REASON = "00081155", "00081196", "00081197"
_CONFLICT = 409


def store(access: Access, items: Sequence[Outgoing]) -> Mapping[str, int]:
    """Store all items. Returns the warnings that the service gave, each with the number of instances. Raises
    DestinationUnready with the reasons for what it does not have."""
    said: Counter[str] = Counter()
    faults: list[str] = []
    with Requests(access) as requests:
        for item in items:
            with item.open() as data:
                answer = requests.ask("POST", "/studies", _body(data))
            if not answer.is_success and answer.status != _CONFLICT:
                raise requests.refused(answer, f"STOW-RS of {escape(item.name)}")
            if fault := _fault(answer, item, said):
                faults.append(f"{escape(item.name)}: {fault}")
    if faults:
        raise unready(
            access,
            f"has not stored {len(faults)} of {len(items)} instances: {first_few(faults)}",
            "It is retried, all of it. Look into the service's own log, or ask who runs it",
        )
    return said


def _body(data: BinaryIO) -> Body:
    boundary = secrets.token_hex(24)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    end = f"\r\n--{boundary}--\r\n".encode("ascii")
    size = len(head) + os.fstat(data.fileno()).st_size + len(end)
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return Body(kind, size, partial(_pieces, head, data, end))


def _pieces(head: bytes, data: BinaryIO, end: bytes) -> Iterator[bytes]:
    data.seek(0)
    yield head
    while piece := data.read(_PIECE_BYTES):
        yield piece
    yield end


def _fault(answer: Answer, item: Outgoing, said: Counter[str]) -> str:
    """Why the answer does not say that it has this instance; empty if it does. Warnings are counted."""
    told = answer.json()
    for entry in _sequence(told, _FAILED):
        if _value(entry, _UID) == item.instance.sop_uid:
            return f"status {answer.status}, failure reason {_code(entry, _REASON)}"
    for entry in _sequence(told, _STORED):
        if _value(entry, _UID) == item.instance.sop_uid and answer.is_success:
            if (warning := _value(entry, _WARNING)) is not None:
                said[WARNINGS.get(warning, f"warning {_code(entry, _WARNING)}")] += 1
            return ""
    return f"status {answer.status}, and the answer does not name this instance as stored"


def _sequence(told: Any, tag: str) -> list[Any]:
    found = told.get(tag) if isinstance(told, dict) else None
    items = found.get("Value") if isinstance(found, dict) else None
    return items if isinstance(items, list) else []


def _value(entry: Any, tag: str) -> Any:
    values = _sequence(entry, tag)
    return values[0] if values else None


def _code(entry: Any, tag: str) -> str:
    value = _value(entry, tag)
    return f"{value:04X}" if isinstance(value, int) else "unknown"
