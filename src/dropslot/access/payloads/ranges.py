"""The part of a file that a request asks for (RFC 9110, 14): one range; of several, all of the file is sent."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes from `first` up to but not `after`."""

    first: int
    after: int


class NoSuchBytes(Exception):
    """A range that begins after the end of the file (416)."""


def asked(header: str, if_range: str, etag: str, size_bytes: int) -> Span | None:
    """The range; None: all of it, also if the header makes no sense or the file is another one than the client has.
    Raises NoSuchBytes."""
    found = _ONE.fullmatch(header)
    if found is None or (if_range and if_range != etag) or not (found[1] or found[2]):
        return None
    if found[1]:
        first, last = int(found[1]), int(found[2]) if found[2] else size_bytes - 1
        if found[2] and last < first:
            return None
        after = min(last + 1, size_bytes)
    else:
        first, after = max(0, size_bytes - int(found[2])), size_bytes
    if first >= after:
        raise NoSuchBytes
    return Span(first, after)
