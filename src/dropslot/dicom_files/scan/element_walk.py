"""Goes through the elements of a data set to its end, value by value, without reading what is not wanted (PS3.5,
section 7). It takes nothing for granted: a length that does not fit, a VR that there is not, a delimiter that is
missing are faults."""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import NamedTuple

from dropslot.dicom_files.scan.stored_bytes import StoredBytes

WINDOW_BYTES = 16 * 1024
MOST_VALUE_BYTES = 64 * 1024
DEEPEST = 100
UNDEFINED = 0xFFFFFFFF
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double, integer
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LAST = 0xFFFFFFFF
_BEFORE = 0x0000FFFF  # group 0000 is for messages, not for files


def _codes(names: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names.split())


# By the size of their length field.
_SHORT = _codes("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US")
_LONG = _codes("OB OD OF OL OV OW SQ SV UC UN UR UT UV")
VRS = _SHORT | _LONG


class Malformed(Exception):
    """The bytes are no data set; the words say where, and why."""


class Syntax(NamedTuple):
    """How elements are encoded."""

    explicit: bool
    little: bool


EXPLICIT = Syntax(explicit=True, little=True)
IMPLICIT = Syntax(explicit=False, little=True)


class Raw(NamedTuple):
    """One element. `vr` is empty where the encoding does not tell it; `value` is None if it is longer than
    MOST_VALUE_BYTES, or has no defined length."""

    vr: bytes
    length: int
    value: bytes | None


class Pixels(NamedTuple):
    """Where the pixel data is. `fragments` without the offset table; None if it is not encapsulated."""

    tag: int
    length: int
    fragments: int | None


class Elements:
    """The elements of a data set, as far as it was gone through: `found` has those at its top that are wanted."""

    def __init__(
        self, stored: StoredBytes, syntax: Syntax, wanted: Container[int], sequences: Container[int]
    ) -> None:
        """`sequences`: the tags whose VR is SQ, for encodings that do not tell it."""
        self._stored, self._wanted, self._sequences = stored, wanted, sequences
        self._use(syntax)
        self._window, self._base = b"", 0
        self.found: dict[int, Raw] = {}
        self.pixels: Pixels | None = None
        self.reach = 0  # the end of the last value in `found`

    def go(self, at: int, last: int = _LAST) -> int:
        """From the element at `at` to the end of the bytes, or before the first tag after `last`; where that is.
        Raises Malformed."""
        return self._data_set(at, self._stored.size, 0, last)

    def _use(self, syntax: Syntax) -> None:
        self._syntax = syntax
        order = "<" if syntax.little else ">"
        self._head = struct.Struct(order + ("HH2sH" if syntax.explicit else "HHI"))
        self._item = struct.Struct(order + "HHI")
        self._length = struct.Struct(order + "I")

    def _see(self, at: int) -> bytes:
        """Move the window, so that it begins with the element at `at`."""
        self._window, self._base = self._stored.read(at, WINDOW_BYTES), at
        if len(self._window) < 8:
            raise Malformed(f"it ends within the element at byte {at}")
        return self._window

    def _data_set(self, at: int, end: int, depth: int, last: int, *, delimited: bool = False) -> int:
        return (self._explicit if self._syntax.explicit else self._implicit)(at, end, depth, last, delimited)

    def _explicit(self, at: int, end: int, depth: int, last: int, delimited: bool) -> int:
        head, wanted = self._head.unpack_from, () if depth else self._wanted
        window, base, previous = self._window, self._base, _BEFORE
        while at < end:
            offset = at - base
            if offset < 0 or offset + 12 > len(window):
                window, base, offset = self._see(at), at, 0
            group, element, vr, length = head(window, offset)
            tag = group << 16 | element
            if tag <= previous or tag > last:
                return self._stopped(tag, at, last)
            previous = tag
            if vr in _SHORT:
                begin = at + 8
            elif vr in _LONG:
                if offset + 12 > len(window):
                    raise Malformed(f"it ends within the element at byte {at}")
                (length,) = self._length.unpack_from(window, offset + 8)
                begin = at + 12
                if vr == b"SQ" or length == UNDEFINED or (tag in PIXELS and not depth):
                    if tag in wanted:
                        self.found[tag] = Raw(vr, length, None)
                    at = self._structured(tag, vr, begin, length, end, depth)
                    window, base = self._window, self._base
                    continue
            elif tag == _ITEM_END and delimited:
                return at + 8
            else:
                raise Malformed(f"{_shown(tag)} at byte {at} has an unknown VR")
            at = begin + length
            if at > end:
                raise Malformed(f"{_shown(tag)} at byte {begin} has {length} bytes, {end - begin} are there")
            if tag in wanted:
                self.found[tag] = Raw(vr, length, self._value(begin, length))
        return self._ended(at, end, delimited)

    def _implicit(self, at: int, end: int, depth: int, last: int, delimited: bool) -> int:
        head, wanted, sequences = self._head.unpack_from, () if depth else self._wanted, self._sequences
        window, base, previous = self._window, self._base, _BEFORE
        while at < end:
            offset = at - base
            if offset < 0 or offset + 8 > len(window):
                window, base, offset = self._see(at), at, 0
            group, element, length = head(window, offset)
            tag = group << 16 | element
            if tag <= previous or tag > last:
                return self._stopped(tag, at, last)
            previous = tag
            begin = at + 8
            if tag == _ITEM_END and delimited:
                return begin
            if length == UNDEFINED or tag in sequences or (tag in PIXELS and not depth):
                if tag in wanted:
                    self.found[tag] = Raw(b"", length, None)
                at = self._structured(tag, b"", begin, length, end, depth)
                window, base = self._window, self._base
                continue
            at = begin + length
            if at > end:
                raise Malformed(f"{_shown(tag)} at byte {begin} has {length} bytes, {end - begin} are there")
            if tag in wanted:
                self.found[tag] = Raw(b"", length, self._value(begin, length))
        return self._ended(at, end, delimited)

    def _stopped(self, tag: int, at: int, last: int) -> int:
        if tag > last:
            return at
        raise Malformed(f"{_shown(tag)} at byte {at} is not in the order of tags")

    def _ended(self, at: int, end: int, delimited: bool) -> int:
        if delimited:
            raise Malformed(f"an item has no end before byte {end}")
        return at

    def _value(self, begin: int, length: int) -> bytes | None:
        self.reach = begin + length
        if length > MOST_VALUE_BYTES:
            return None
        offset = begin - self._base
        if offset + length <= len(self._window):
            return self._window[offset : offset + length]
        return self._stored.read(begin, length)

    def _structured(self, tag: int, vr: bytes, begin: int, length: int, end: int, depth: int) -> int:
        """A sequence, or pixel data; where it ends."""
        stop = end if length == UNDEFINED else begin + length
        if stop > end:
            raise Malformed(f"{_shown(tag)} at byte {begin} has {length} bytes, {end - begin} are there")
        if tag in PIXELS and not depth:
            return self._pixel_data(tag, begin, length, stop)
        if vr in (b"SQ", b""):
            return self._items(tag, begin, stop, depth, delimited=length == UNDEFINED)
        if vr == b"UN":  # then its items are in implicit VR, little endian (PS3.5, 6.2.2)
            own = self._syntax
            self._use(IMPLICIT)
            at = self._items(tag, begin, stop, depth, delimited=True)
            self._use(own)
            return at
        return self._fragments(tag, begin, stop)[0]

    def _pixel_data(self, tag: int, begin: int, length: int, stop: int) -> int:
        if length != UNDEFINED:
            self.pixels = Pixels(tag, length, None)
            return stop
        at, items, size = self._fragments(tag, begin, stop)
        self.pixels = Pixels(tag, size, max(items - 1, 0))
        return at

    def _items(self, tag: int, at: int, stop: int, depth: int, *, delimited: bool) -> int:
        if depth >= DEEPEST:
            raise Malformed(f"sequences are nested more than {DEEPEST} deep")
        while at < stop:
            found, length = self._item_at(at)
            at += 8
            if found == _SEQUENCE_END and delimited:
                return at
            if found != _ITEM:
                raise Malformed(f"{_shown(tag)} has no item at byte {at - 8}")
            end = stop if length == UNDEFINED else at + length
            if end > stop:
                raise Malformed(
                    f"{_shown(tag)} has an item of {length} bytes at byte {at}, {stop - at} are there"
                )
            at = self._data_set(at, end, depth + 1, _LAST, delimited=length == UNDEFINED)
        if delimited:
            raise Malformed(f"{_shown(tag)} has no end before byte {stop}")
        return at

    def _fragments(self, tag: int, at: int, stop: int) -> tuple[int, int, int]:
        """Where they end, how many items there are, and how many bytes are in them (PS3.5, A.4)."""
        items = size = 0
        while at < stop:
            found, length = self._item_at(at)
            at += 8
            if found == _SEQUENCE_END:
                return at, items, size
            if found != _ITEM or length == UNDEFINED or at + length > stop:
                raise Malformed(f"{_shown(tag)} has no whole fragment at byte {at - 8}")
            at, items, size = at + length, items + 1, size + length
        raise Malformed(f"{_shown(tag)} has no delimiter after its {items} fragments")

    def _item_at(self, at: int) -> tuple[int, int]:
        offset = at - self._base
        if offset < 0 or offset + 8 > len(self._window):
            self._see(at)
            offset = 0
        group, element, length = self._item.unpack_from(self._window, offset)
        return group << 16 | element, length


def _shown(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
