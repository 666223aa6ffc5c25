"""What a de-identified file says of itself: its meta information, and that it was de-identified, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dropslot.dicom_files.deidentifier.elements import Element, Syntax, known_vr, written
from dropslot.dicom_files.deidentifier.replacing import even

IMPLEMENTATION_UID = "2.25.262914757043148466420174951377041930257"
IMPLEMENTATION_NAME = "DROPSLOT"
_TEMPORAL = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}
_REMOVED, _METHOD, _CODES, _TEMPORAL_TAG = 0x00120062, 0x00120063, 0x00120064, 0x00280303
_MOST = 64  # characters of an LO


def marked(
    elements: Sequence[Element],
    codes: Sequence[tuple[str, str]],
    dates: str,
    additions: Mapping[int, str],
    method: Sequence[str],
) -> list[Element]:
    """The cleaned elements, with the marks and with what a recipe adds, in the order of their tags. Without codes: a
    recipe may have changed the profile, so that none may be claimed."""
    made = {element.tag: element for element in elements}
    for tag, text in additions.items():
        made[tag] = _text(tag, text)
    made[_REMOVED] = _text(_REMOVED, "YES")
    made[_METHOD] = _text(_METHOD, "\\".join(line[:_MOST] for line in method))
    made[_TEMPORAL_TAG] = _text(_TEMPORAL_TAG, _TEMPORAL[dates])
    made.pop(_CODES, None)
    if items := [_code(*code) for code in codes]:
        made[_CODES] = Element(_CODES, "SQ", items=items, undefined_items=[False] * len(items))
    return [made[tag] for tag in sorted(made)]


def _text(tag: int, text: str) -> Element:
    vr = known_vr(tag) or "LO"
    return Element(tag, vr, even(text.encode("utf-8"), vr))


def _code(value: str, meaning: str) -> list[Element]:
    return [_text(0x00080100, value), _text(0x00080102, "DCM"), _text(0x00080104, meaning)]


def meta_of(sop_class: str, instance: str, transfer_syntax: str) -> bytes:
    """An empty preamble, and the file meta information."""
    values = [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", even(sop_class.encode("ascii"), "UI")),
        Element(0x00020003, "UI", even(instance.encode("ascii"), "UI")),
        Element(0x00020010, "UI", even(transfer_syntax.encode("ascii"), "UI")),
        Element(0x00020012, "UI", even(IMPLEMENTATION_UID.encode("ascii"), "UI")),
        Element(0x00020013, "SH", even(IMPLEMENTATION_NAME.encode("ascii"), "SH")),
    ]
    syntax = Syntax(is_implicit=False, is_little=True)
    body = written(values, syntax)
    size = written([Element(0x00020000, "UL", len(body).to_bytes(4, "little"))], syntax)
    return bytes(128) + b"DICM" + size + body
