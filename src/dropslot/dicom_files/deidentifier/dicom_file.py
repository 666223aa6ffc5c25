"""A DICOM file: its meta information, its data set, and where its pixels are."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from dropslot.dicom_files.deidentifier.elements import Element, Malformed, Pixels, Reader, Syntax

_PREAMBLE = 128
_MAGIC = b"DICM"
_OF_UIDS = "0123456789."
MOST_INFLATED_BYTES = 256 << 20
_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


class NotDicom(Exception):
    """It is not a DICOM file."""


@dataclass(slots=True)
class File:
    """`data` holds the data set, and `pixels` are a part of it. It is the file itself, or what was deflated in it."""

    meta: dict[int, bytes]
    transfer_syntax: str
    syntax: Syntax
    elements: list[Element]
    data: bytes
    pixels: Pixels | None

    @property
    def is_deflated(self) -> bool:
        return self.transfer_syntax == _DEFLATED


def read(data: bytes) -> File:
    """The whole file. Raises NotDicom and Malformed."""
    start = _PREAMBLE + len(_MAGIC) if data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC else 0
    meta, after = _meta(data, start)
    transfer_syntax = _text(meta.get(0x00020010, b""))
    if not transfer_syntax:
        transfer_syntax = _guessed(data)
    if transfer_syntax.strip(_OF_UIDS):
        raise Malformed("its transfer syntax is not a UID")
    if transfer_syntax == _DEFLATED:
        data, after = _inflated(data[after:]), 0
    syntax = _syntax(transfer_syntax)
    reader = Reader(data, after, syntax)
    elements = reader.data_set()
    if not start and not any(element.tag == 0x00080016 for element in elements):
        raise NotDicom
    return File(meta, transfer_syntax, syntax, elements, data, reader.pixels)


def _meta(data: bytes, start: int) -> tuple[dict[int, bytes], int]:
    """The elements of the file's meta information, and where the data set begins."""
    at, meta = start, {}
    while len(data) - at >= 8 and data[at : at + 2] == b"\x02\x00":
        number, code, length = struct.unpack_from("<H2sH", data, at + 2)
        at += 8
        if code in (b"OB", b"UN", b"UT", b"UC"):
            if len(data) - at < 4:
                raise Malformed("it ends within its meta information")
            (length,) = struct.unpack_from("<L", data, at)
            at += 4
        if length > len(data) - at:
            raise Malformed("it ends within its meta information")
        meta[0x00020000 | number] = data[at : at + length]
        at += length
    return meta, at


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _guessed(data: bytes) -> str:
    """The transfer syntax of a file that does not say it."""
    try:
        read = pydicom.dcmread(
            io.BytesIO(data[: 1 << 16]), force=True, stop_before_pixels=True, specific_tags=[0x00080016]
        )
        is_implicit, is_little = read.original_encoding
    except (InvalidDicomError, Exception) as error:
        raise NotDicom from error
    if 0x00080016 not in read:
        raise NotDicom
    if is_implicit:
        return _IMPLICIT
    return _EXPLICIT if is_little else _BIG


def _syntax(transfer_syntax: str) -> Syntax:
    uid = UID(transfer_syntax)
    if not uid.is_transfer_syntax:
        # The standard's own are explicit and little endian but for two, and so are all compressed ones.
        return Syntax(is_implicit=False, is_little=True)
    return Syntax(uid.is_implicit_VR, uid.is_little_endian)


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflate.decompress(data, MOST_INFLATED_BYTES)
    except zlib.error as error:
        raise Malformed("its deflated data set cannot be inflated") from error
    if not inflate.eof:
        raise Malformed(
            f"its deflated data set is cut off, or inflates to more than {MOST_INFLATED_BYTES >> 20} MiB"
        )
    return found
