"""Values that are plain: printable ASCII or whole numbers, as nearly all are. They become the same text that pydicom
gives, in a fraction of the time; all others are left to pydicom."""

from __future__ import annotations

import re
import struct

_INTEGERS = re.compile(r"[+-]?[0-9]+(?:\\[+-]?[0-9]+)*")
_DECIMALS = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:\\[+-]?[0-9]+(?:\.[0-9]+)?)*")
_NUMBERS = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i"}
_AS_A_WHOLE = frozenset((b"CS", b"DA", b"TM", b"DT", b"AS", b"LT", b"ST", b"UT"))
_BY_PART = frozenset((b"LO", b"SH", b"UC", b"AE", b"PN"))


def plain_text(vr: bytes, value: bytes, *, little: bool) -> str | None:
    """The value as text, empty if there is none; None if it is not plain."""
    if vr in _NUMBERS:
        return _numbers(_NUMBERS[vr], value, little=little)
    if not value.isascii():
        return None
    text = value.rstrip(b"\0 ").decode("ascii")
    if not text.isprintable():
        return None
    if vr in _AS_A_WHOLE:
        return text if text.strip("\\") or not text else None
    if vr == b"UI":
        return None if " " in text or (text and not text.strip("\\")) else text
    if vr in _BY_PART:
        return None if "\\" in text or "=" in text or text.startswith(" ") or b"\0" in value else text
    if vr == b"IS" or vr == b"DS":
        text = text.lstrip()
        return text if not text or (_INTEGERS if vr == b"IS" else _DECIMALS).fullmatch(text) else None
    return None


def _numbers(code: str, value: bytes, *, little: bool) -> str | None:
    count, rest = divmod(len(value), struct.calcsize("=" + code))
    if rest:
        return None
    return "\\".join(map(str, struct.unpack(f"{'<' if little else '>'}{count}{code}", value)))
