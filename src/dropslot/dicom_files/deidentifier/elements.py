"""A data set as elements, read and written without loss. Every byte must belong to an element: pydicom reads past the
end of a file that was cut off, and past lengths that do not fit, so it cannot tell whether all of a file was looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
MOST_DEEP = 64  # sequences in sequences; the deepest of the standard's own are about ten
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_SHORT = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL"}
    | {"SS", "ST", "TM", "UI", "UL", "US"}
)
_BY_BYTES = {vr.encode("ascii"): vr for vr in _LONG | _SHORT}
_MOST_SHORT = 0xFFFF


class Malformed(Exception):
    """The file is not what its own lengths and types say. The words follow `it is malformed: `."""


class Syntax(NamedTuple):
    """How elements are written."""

    is_implicit: bool
    is_little: bool

    @property
    def order(self) -> str:
        """For `struct`."""
        return "<" if self.is_little else ">"


@dataclass(slots=True)
class Element:
    """One element: `value` are its bytes, or `items` those of a sequence."""

    tag: int
    vr: str
    value: bytes = b""
    items: list[list[Element]] | None = None
    is_undefined: bool = False
    undefined_items: list[bool] = field(default_factory=list)


class Pixels(NamedTuple):
    """The element with the pixels, which stays in the file: where it begins and how many bytes it has, header and
    all."""

    tag: int
    offset: int
    size_bytes: int


def spelled(tag: int) -> str:
    """As people write it: (0010,0010)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@cache
def known_vr(tag: int) -> str:
    """The VR in the dictionary, as `US or SS` where there are several; empty if it does not know the tag."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


class Reader:
    """Reads the elements of a data set from `data`. Raises Malformed."""

    def __init__(self, data: bytes, start: int, syntax: Syntax) -> None:
        self.data, self.at, self.syntax = data, start, syntax
        self.pixels: Pixels | None = None
        self._header = struct.Struct(syntax.order + ("HHL" if syntax.is_implicit else "HH2sH"))
        self._tag = struct.Struct(syntax.order + "HH")
        self._long = struct.Struct(syntax.order + "L")

    def data_set(self) -> list[Element]:
        """All elements to the end of the data, without the pixels."""
        return list(self._elements(len(self.data), 0, is_ended=False))

    def _elements(self, end: int, depth: int, *, is_ended: bool) -> Iterator[Element]:
        before = -1
        while self.at < end:
            start = self.at
            tag, vr, length = self._read_header(end)
            if tag == ITEM_END and is_ended:
                return
            if tag >> 16 == 0xFFFE:
                raise Malformed(f"{spelled(tag)} stands where an element should begin")
            if tag <= before:
                raise Malformed(f"{spelled(tag)} comes after {spelled(before)}")
            before = tag
            if depth == 0 and tag in PIXELS:
                self._skip_pixels(tag, start, length, end)
                continue
            yield self._element(tag, vr, length, end, depth)
        if is_ended:
            raise Malformed("an item has no end")

    def _read_header(self, end: int) -> tuple[int, str, int]:
        if end - self.at < self._header.size:
            raise Malformed("it ends within an element")
        if self.syntax.is_implicit:
            group, number, length = self._header.unpack_from(self.data, self.at)
            self.at += 8
            tag = group << 16 | number
            return tag, known_vr(tag) or "UN", length
        group, number, code, length = self._header.unpack_from(self.data, self.at)
        tag = group << 16 | number
        if group == 0xFFFE:
            (length,) = self._long.unpack_from(self.data, self.at + 4)
            self.at += 8
            return tag, "", length
        vr = _BY_BYTES.get(code)
        if vr is None:
            raise Malformed(f"{spelled(tag)} has no valid VR")
        self.at += 8
        if vr in _LONG:
            if end - self.at < 4:
                raise Malformed("it ends within an element")
            (length,) = self._long.unpack_from(self.data, self.at)
            self.at += 4
        return tag, vr, length

    def _element(self, tag: int, vr: str, length: int, end: int, depth: int) -> Element:
        if length == UNDEFINED or vr == "SQ":
            return self._sequence(tag, vr, length, end, depth)
        if vr == "UN" and known_vr(tag) == "SQ" and length:
            return self._sequence(tag, vr, length, end, depth)
        if length > end - self.at:
            raise Malformed(f"{spelled(tag)} has {length} bytes, but only {end - self.at} are left")
        value = self.data[self.at : self.at + length]
        self.at += length
        return Element(tag, vr, value)

    def _sequence(self, tag: int, vr: str, length: int, end: int, depth: int) -> Element:
        if depth >= MOST_DEEP:
            raise Malformed(f"its sequences are more than {MOST_DEEP} deep")
        if length == UNDEFINED and vr not in {"SQ", "UN"} and not (self.syntax.is_implicit and vr == "UN"):
            raise Malformed(f"{spelled(tag)} has no length, and is not a sequence")
        if length != UNDEFINED and length > end - self.at:
            raise Malformed(f"{spelled(tag)} has {length} bytes, but only {end - self.at} are left")
        # The items of a sequence of unknown VR are written in implicit VR, little endian.
        inner = Syntax(True, True) if vr == "UN" and not self.syntax.is_implicit else self.syntax
        reader = self if inner == self.syntax else Reader(self.data, self.at, inner)
        reader.at = self.at
        element = Element(tag, vr, items=[], is_undefined=length == UNDEFINED)
        reader.read_items(element, end if length == UNDEFINED else self.at + length, depth + 1)
        self.at = reader.at
        return element

    def read_items(self, element: Element, end: int, depth: int) -> None:
        """Add the items of a sequence, which ends at `end` or with a mark."""
        assert element.items is not None
        while self.at < end:
            tag, _, length = self._read_header(end)
            if tag == SEQUENCE_END and element.is_undefined:
                return
            if tag != ITEM:
                raise Malformed(f"{spelled(element.tag)} holds something that is not an item")
            if length != UNDEFINED and length > end - self.at:
                raise Malformed(f"an item of {spelled(element.tag)} is longer than what is left")
            is_ended = length == UNDEFINED
            last = end if is_ended else self.at + length
            element.items.append(list(self._elements(last, depth, is_ended=is_ended)))
            element.undefined_items.append(is_ended)
        if element.is_undefined:
            raise Malformed(f"{spelled(element.tag)} has no end")

    def _skip_pixels(self, tag: int, start: int, length: int, end: int) -> None:
        if self.pixels is not None:
            raise Malformed("it has pixels twice")
        if length != UNDEFINED:
            if length > end - self.at:
                raise Malformed(f"its pixels have {length} bytes, but only {end - self.at} are left")
            self.at += length
        else:
            self._skip_fragments(end)
        self.pixels = Pixels(tag, start, self.at - start)

    def _skip_fragments(self, end: int) -> None:
        while end - self.at >= 8:
            group, number = self._tag.unpack_from(self.data, self.at)
            (length,) = self._long.unpack_from(self.data, self.at + 4)
            self.at += 8
            if group << 16 | number == SEQUENCE_END:
                return
            if group << 16 | number != ITEM or length > end - self.at:
                raise Malformed("its compressed pixels are cut off")
            self.at += length
        raise Malformed("its compressed pixels are cut off")


def written(elements: list[Element], syntax: Syntax) -> bytes:
    """The elements as bytes."""
    out = bytearray()
    for element in elements:
        _write(element, syntax, out)
    return bytes(out)


def _write(element: Element, syntax: Syntax, out: bytearray) -> None:
    value = element.value
    if element.items is not None:
        inner = Syntax(True, True) if element.vr == "UN" and not syntax.is_implicit else syntax
        value = _items(element, inner)
    length = UNDEFINED if element.is_undefined else len(value)
    group, number = element.tag >> 16, element.tag & 0xFFFF
    if syntax.is_implicit:
        out += struct.pack(syntax.order + "HHL", group, number, length)
    elif element.vr in _LONG:
        out += struct.pack(syntax.order + "HH2sHL", group, number, element.vr.encode("ascii"), 0, length)
    elif length > _MOST_SHORT:
        out += struct.pack(syntax.order + "HH2sHL", group, number, b"UN", 0, length)
    else:
        out += struct.pack(syntax.order + "HH2sH", group, number, element.vr.encode("ascii"), length)
    out += value


def _items(element: Element, syntax: Syntax) -> bytes:
    assert element.items is not None
    out = bytearray()
    pack = struct.Struct(syntax.order + "HHL").pack
    for item, is_ended in zip(element.items, element.undefined_items, strict=True):
        inside = written(item, syntax)
        out += pack(0xFFFE, 0xE000, UNDEFINED if is_ended else len(inside))
        out += inside
        if is_ended:
            out += pack(0xFFFE, 0xE00D, 0)
    if element.is_undefined:
        out += pack(0xFFFE, 0xE0DD, 0)
    return bytes(out)
