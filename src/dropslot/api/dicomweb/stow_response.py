"""What a client is told (PS3.18 10.5.3): each instance that was stored, and each that was not, in DICOM JSON or XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape as in_xml

from django.http import HttpResponse

from dropslot.dicom.receiving.receptions import OUT_OF_RESOURCES

JSON, XML = "application/dicom+json", "application/dicom+xml"
_REFERENCED, _FAILED = ("00081199", "ReferencedSOPSequence"), ("00081198", "FailedSOPSequence")
_CLASS, _INSTANCE = ("00081150", "ReferencedSOPClassUID"), ("00081155", "ReferencedSOPInstanceUID")
_REASON = ("00081197", "FailureReason")


class Outcome(NamedTuple):
    """One instance: its UIDs, empty if they are not known, and the status as C-STORE has it (0: it is stored)."""

    sop_class: str
    sop_uid: str
    status: int


def answer(outcomes: Sequence[Outcome], accepts: str) -> HttpResponse:
    """The response for all parts of a request."""
    failed = [one for one in outcomes if one.status]
    if not failed:
        status = 200
    elif len(failed) < len(outcomes):
        status = 202
    else:
        status = 503 if all(one.status == OUT_OF_RESOURCES for one in failed) else 409
    sequences = [
        (_REFERENCED, [one for one in outcomes if not one.status]),
        (_FAILED, failed),
    ]
    found = [(key, some) for key, some in sequences if some]
    if XML in accepts and JSON not in accepts:
        return HttpResponse(_as_xml(found), status=status, content_type=XML)
    return HttpResponse(_as_json(found), status=status, content_type=JSON)


_Sequences = Sequence[tuple[tuple[str, str], Sequence[Outcome]]]


def _as_json(sequences: _Sequences) -> str:
    content = {key[0]: {"vr": "SQ", "Value": [_item(one) for one in some]} for key, some in sequences}
    return json.dumps(content)


def _item(one: Outcome) -> dict[str, object]:
    known = ((_CLASS, one.sop_class), (_INSTANCE, one.sop_uid))
    item: dict[str, object] = {key[0]: {"vr": "UI", "Value": [value]} for key, value in known if value}
    return item | ({_REASON[0]: {"vr": "US", "Value": [one.status]}} if one.status else {})


def _as_xml(sequences: _Sequences) -> str:
    body = "".join(_sequence(key, some) for key, some in sequences)
    return f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xml:space="preserve">{body}</NativeDicomModel>'


def _sequence(key: tuple[str, str], some: Sequence[Outcome]) -> str:
    items = "".join(f'<Item number="{number}">{_fields(one)}</Item>' for number, one in enumerate(some, 1))
    return _element(key, "SQ", items)


def _fields(one: Outcome) -> str:
    known = [(_CLASS, "UI", one.sop_class), (_INSTANCE, "UI", one.sop_uid)]
    known += [(_REASON, "US", str(one.status))] if one.status else []
    return "".join(
        _element(key, vr, f'<Value number="1">{in_xml(value)}</Value>') for key, vr, value in known if value
    )


def _element(key: tuple[str, str], vr: str, content: str) -> str:
    return f'<DicomAttribute tag="{key[0]}" vr="{vr}" keyword="{key[1]}">{content}</DicomAttribute>'
