"""Where a PDF ends: distinguishes a PDF that was cut off from one with other bytes after it (ISO 32000-2, 7.5.5 and
7.5.6). Programs open a PDF even with zeros, blanks or text before or after it, or without its last `%%EOF`. They also
open a PDF that was cut off, by guessing its tables; then they do not show what was sent.
"""

from __future__ import annotations

import mmap
import re

HEADER_WITHIN_BYTES = 1024
_BLANKS = b"\0\t\n\f\r "
_END, _TABLE_AT = b"%%EOF", b"startxref"
_STEP = 64 * 1024
# The beginning of an update: objects, or the first letters of one (none has the number 0), after the end of the PDF
# that it updates.
_OBJECT = re.compile(rb"\d\s+\d+\s+obj\b")
_BEGUN = re.compile(rb"\s*[1-9]\d*(?:\s+(?:\d+(?:\s+(?:o(?:bj?)?)?)?)?)?\s*\Z")
_TABLE = re.compile(rb"\s*(?:xref\b|\d+\s+\d+\s+obj\b)")
_PLACE = re.compile(rb"startxref\s+(\d{1,20})\s")


def header(data: mmap.mmap) -> int:
    """Where `%PDF-` is; negative if it is not in the first 1024 bytes."""
    return data.find(b"%PDF-", 0, HEADER_WITHIN_BYTES)


def end(data: mmap.mmap) -> int:
    """The length of the PDF without the bytes after it; 0 if it was cut off."""
    filled = _without_blanks(data)
    ends, table = data.rfind(_END, 0, filled), data.rfind(_TABLE_AT, 0, filled)
    if table > ends:
        # If the end mark of an update is missing, some programs show the version before it.
        first = ends < 0 or _is_first_part(data, data.rfind(_TABLE_AT, 0, ends), ends)
        return filled + 1 if first and _has_whole_table(data, table, filled) else 0
    if ends < 0 or _is_begun(data, ends + len(_END), filled) or _is_first_part(data, table, ends):
        return 0
    return ends + len(_END)


def _is_begun(data: mmap.mmap, ends: int, filled: int) -> bool:
    return bool(_OBJECT.search(data, ends, filled) or _BEGUN.match(data, ends, filled))


def _without_blanks(data: mmap.mmap) -> int:
    filled = len(data)
    while filled > 0:
        some = data[max(0, filled - _STEP) : filled]
        if left := len(some.rstrip(_BLANKS)):
            return filled - len(some) + left
        filled -= len(some)
    return 0


def _has_whole_table(data: mmap.mmap, table: int, filled: int) -> bool:
    """Only `%%EOF` is missing: the last table is where the number says, and a blank ends that number."""
    found = _PLACE.match(data, table, filled + 1)
    if found is None or found.end() != filled + 1:
        return False
    place = int(found[1])
    return any(0 < at < table and _TABLE.match(data, at) for at in (place, place + max(header(data), 0)))


def _is_first_part(data: mmap.mmap, table: int, ends: int) -> bool:
    """In a PDF for the web, the first page's part has an end of its own, which names no table (startxref 0): the rest
    is missing."""
    found = _PLACE.match(data, table, ends) if table >= 0 else None
    return (
        found is not None
        and int(found[1]) == 0
        and data.find(b"/Linearized", 0, 2 * HEADER_WITHIN_BYTES) >= 0
    )
