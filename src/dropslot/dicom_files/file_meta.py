"""The file meta information in front of a data set (PS3.10, 7.1), read only for where it ends."""

from __future__ import annotations

import struct
from typing import BinaryIO

_PREFIX_AT = 128
_PREFIX = b"DICM"
_MOST_BYTES = 65536  # of the whole group 0002; real ones have less than 1 KiB
_GROUP = b"\x02\x00"
# The only value representations in group 0002. Sequences, and lengths that are not given, are not among them.
_SHORT = {b"UL", b"UI", b"SH", b"AE", b"UR"}
_LONG = {b"OB"}


def data_set_begins_at(file: BinaryIO) -> int | None:
    """The offset of the data set; None if there is no preamble, or the group in front of the data set is not what the
    standard demands."""
    head = file.read(_PREFIX_AT + len(_PREFIX) + _MOST_BYTES)
    place = _PREFIX_AT + len(_PREFIX)
    if head[_PREFIX_AT:place] != _PREFIX or head[place : place + 2] != _GROUP:
        return None
    while head[place : place + 2] == _GROUP:
        after = _after(head, place)
        if after is None or after > len(head):
            return None
        place = after
    return place


def _after(head: bytes, place: int) -> int | None:
    """Where the next element begins."""
    kind = head[place + 4 : place + 6]
    if len(head) < place + 12:
        return None
    if kind in _SHORT:
        return place + 8 + int(struct.unpack_from("<H", head, place + 6)[0])
    if kind in _LONG:
        return place + 12 + int(struct.unpack_from("<L", head, place + 8)[0])
    return None
