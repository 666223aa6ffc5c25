"""Reads one header: quickly where the file is as it should be, by pydicom where it is not. Runs in the process without
rights, see `header_parser`."""

from __future__ import annotations

import struct
from typing import NamedTuple

from dropslot.dicom_files.scan import by_pydicom
from dropslot.dicom_files.scan.element_walk import EXPLICIT, IMPLICIT, VRS, Elements, Malformed, Raw, Syntax
from dropslot.dicom_files.scan.pixel_length import fault_of_pixels
from dropslot.dicom_files.scan.plain_values import plain_text
from dropslot.dicom_files.scan.stored_bytes import Inflated, StoredBytes
from dropslot.dicom_files.uids import faults_of_uids, is_uid

_BIG_ENDIAN = Syntax(explicit=True, little=False)
_SYNTAXES = {"1.2.840.10008.1.2": IMPLICIT, "1.2.840.10008.1.2.2": _BIG_ENDIAN}
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
_TRANSFER_SYNTAX = 0x00020010
_META_LENGTH, _UL_OF_4 = b"\2\0\0\0", b"UL\4\0"
_FIRST_GROUPS = (2, 8)
_META_KEYWORDS = frozenset(
    known.keyword for tag, known in by_pydicom.TAGS.items() if tag <= by_pydicom.META_LAST
)


class Reading(NamedTuple):
    """What was found in a file."""

    values: dict[str, str]
    faults: list[str]
    reach: int  # the values were read from the bytes before this one; or from later ones, too, if it is irregular


def read_header(stored: StoredBytes) -> Reading | str:
    """The header; or why it is not DICOM."""
    beginning = stored.read(0, 144)
    has_prefix = beginning[128:132] == b"DICM"
    if not has_prefix and not _begins_as_data_set(beginning):
        return "it has no prefix DICM at byte 128, and does not begin with an element of DICOM"
    file = _File(stored, 132 if has_prefix else 0)
    reading = file.read()
    if not reading.values:
        return "nothing follows its prefix that can be read"
    uids = (reading.values.get(keyword, "") for keyword in ("SOPClassUID", "MediaStorageSOPClassUID"))
    if not has_prefix and not any(map(is_uid, uids)):
        return "it has no prefix DICM at byte 128, and no SOPClassUID"
    reading.faults.extend(faults_of_uids(reading.values))
    return reading


def _begins_as_data_set(beginning: bytes) -> bool:
    """Whether these are the first bytes of meta information, or of a data set in any encoding."""
    if len(beginning) < 8:
        return False
    if beginning[4:6] in VRS:
        return any(struct.unpack_from(order, beginning)[0] in _FIRST_GROUPS for order in ("<H", ">H"))
    group, element, length = struct.unpack_from("<HHI", beginning)
    return group in _FIRST_GROUPS and element < 0x0100 and length <= len(beginning)


class _File:
    def __init__(self, stored: StoredBytes, begin: int) -> None:
        self._stored, self._begin = stored, begin
        self._meta = Elements(stored, EXPLICIT, by_pydicom.TAGS, ())
        self._body = Elements(stored, EXPLICIT, by_pydicom.TAGS, ())
        self._syntax = EXPLICIT
        self._inflated: Inflated | None = None

    def read(self) -> Reading:
        fault = self._fault_of_structure()
        values, faults = self._decoded(), list[str]()
        if fault or values is None:
            values, faults = self._by_pydicom()
        pixels = "" if fault and not self._body.pixels else fault_of_pixels(values, self._body.pixels)
        reach = self._stored.size if self._inflated else max(self._meta.reach, self._body.reach)
        found = (fault, self._encodings().fault, *faults, pixels)
        return Reading(values, [each for each in found if each], reach)

    def _fault_of_structure(self) -> str:
        try:
            self._go()
        except Malformed as error:
            return str(error)
        return self._inflated.fault if self._inflated else ""

    def _go(self) -> None:
        """To the end of the file. Raises Malformed."""
        start = self._stored.read(self._begin, 8)
        if start[:4] == _META_LENGTH and start[4:] != _UL_OF_4:
            raise Malformed("(0002,0000), the length of its meta information, is not a number")
        at = self._meta.go(self._begin, by_pydicom.META_LAST)
        named = self._meta.found.get(_TRANSFER_SYNTAX)
        uid = (named.value or b"").rstrip(b"\0 ").decode("latin-1") if named else ""
        stored = self._stored
        if uid in _DEFLATED:
            stored, at = Inflated(stored, at), 0
            self._inflated = stored
        start = stored.read(at, 8)
        self._syntax = _SYNTAXES.get(uid, EXPLICIT) if uid else _guessed(start)
        if not self._syntax.explicit and start[4:6] in VRS:
            raise Malformed("its transfer syntax says implicit VR, but its data set has explicit VR")
        self._body = Elements(stored, self._syntax, by_pydicom.TAGS, by_pydicom.sequences())
        self._body.go(at)

    def _decoded(self, *, skip_doubtful: bool = False) -> dict[str, str] | None:
        """The values that were found; None if one is in doubt."""
        values: dict[str, str] = {}
        encodings = self._encodings()
        for part, syntax in ((self._meta, EXPLICIT), (self._body, self._syntax)):
            for tag, raw in part.found.items():
                text = _text(tag, raw, syntax, encodings)
                if text is None and not skip_doubtful:
                    return None
                if text:
                    values[by_pydicom.TAGS[tag].keyword] = text
        return values

    def _encodings(self) -> by_pydicom.Encodings:
        return by_pydicom.encodings_of(self._body.found.get(by_pydicom.CHARACTER_SET), self._syntax)

    def _by_pydicom(self) -> tuple[dict[str, str], list[str]]:
        """Of a file that it cannot read at all, those that were found on the way."""
        found = self._decoded(skip_doubtful=True) or {}
        try:
            if not self._inflated:
                return by_pydicom.values_of(self._stored, has_meta=True)
            values, faults = by_pydicom.values_of(self._inflated, has_meta=False)
        except (Exception, MemoryError) as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of the disk
            return found, [f"pydicom cannot read it ({type(error).__name__})"]
        return {k: v for k, v in found.items() if k in _META_KEYWORDS} | values, faults


def _guessed(start: bytes) -> Syntax:
    if start[4:6] not in VRS:
        return IMPLICIT
    return EXPLICIT if start[1:2] == b"\0" else _BIG_ENDIAN


def _text(tag: int, raw: Raw, syntax: Syntax, encodings: by_pydicom.Encodings) -> str | None:
    if not raw.length:
        return ""
    if raw.value is None:
        return None
    known = by_pydicom.TAGS[tag].vr
    vr = known if raw.vr in (b"", b"UN") else raw.vr
    text = plain_text(vr, raw.value, little=syntax.little) if encodings.has_ascii else None
    return by_pydicom.text_of_raw(tag, raw, syntax, encodings) if text is None else text
