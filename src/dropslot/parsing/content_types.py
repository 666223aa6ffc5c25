"""MIME types, determined from the first 64 KiB of content. Runs in a process without rights, see `program`.

The types are libmagic's; this module adds formats of imaging that libmagic does not know. A file may have several: a
compressed NIfTI volume is `application/x-nifti` and `application/gzip`.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

LOOKED_AT_BYTES = 64 * 1024
EMPTY = "inode/x-empty"
DICOM = "application/dicom"
NIFTI = "application/x-nifti"
GZIP = "application/gzip"
PAR = "text/x-philips-par"
PDF = "application/pdf"

# Other names for the same type, of libmagic and of people.
_SAME = {
    "application/x-gzip": GZIP,
    "application/x-zip-compressed": "application/zip",
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "text/xml": "application/xml",
    "application/x-nifti-gz": NIFTI,
}
_GZIP_START = b"\x1f\x8b"
# Headers of Philips' text export beside a REC file: general comments, then the word that all versions share.
_PAR_START = re.compile(rb"\A\s*#\s*=== DATA DESCRIPTION FILE ===")
# Programs open a file as a PDF if its header begins a line in the first 1024 bytes.
_PDF_START = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\0\n\r])[\t\f ]*%PDF-[12]\.\d")


def prepare() -> None:
    """Load libmagic and its rules."""
    _libmagic().from_buffer(b"%PDF-1.4")


def parse(descriptors: list[int], question: Any) -> list[tuple[str, ...]]:  # noqa: ARG001
    """The types of each file."""
    return [types_of(os.pread(descriptor, LOOKED_AT_BYTES, 0)) for descriptor in descriptors]


def types_of(beginning: bytes) -> tuple[str, ...]:
    """The types of content that begins with these bytes (64 KiB are enough), the most telling one first."""
    if not beginning:
        return (EMPTY,)
    known = _known_type(beginning)
    general = canonical(_libmagic().from_buffer(beginning[:LOOKED_AT_BYTES]))
    if beginning.startswith(_GZIP_START):
        inner = _known_type(_first_unpacked(beginning))
        return (inner, GZIP) if inner else (GZIP,)
    return (known, general) if known and known != general else (known or general,)


def _known_type(beginning: bytes) -> str:
    if beginning[128:132] == b"DICM":
        return DICOM
    if _is_nifti(beginning):
        return NIFTI
    if _PDF_START.search(beginning[:1024]):
        return PDF
    return PAR if _PAR_START.match(beginning[:4096]) else ""


def _is_nifti(beginning: bytes) -> bool:
    # The header's own size, in either byte order, and the magic word of NIfTI-1 (single file, pair) or NIfTI-2.
    if len(beginning) < 348:
        return False
    sizes = {struct.unpack(order, beginning[:4])[0] for order in ("<i", ">i")}
    first = 348 in sizes and beginning[344:348] in (b"n+1\0", b"ni1\0")
    second = 540 in sizes and beginning[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")
    return first or second


def _first_unpacked(beginning: bytes) -> bytes:
    """The first kilobyte inside a gzip file; empty if it is malformed. Never more: it may be a bomb."""
    try:
        return zlib.decompressobj(wbits=31).decompress(beginning, 1024)
    except zlib.error:
        return b""


def canonical(mime: str) -> str:
    lowered = mime.strip().lower()
    return _SAME.get(lowered, lowered)


class _Magic(Protocol):
    def from_buffer(self, buf: bytes) -> str: ...


@cache
def _libmagic() -> _Magic:
    # Here, not above: loading the library and its rules takes 9 MB, and only routes that ask for types need it.
    try:
        import magic
    except ImportError:
        # This host has no libmagic. Only then: pylibmagic's is older, and importing it changes ctypes and the
        # search path of libraries for every child process.
        import_module("pylibmagic")
        import magic
    return cast(_Magic, magic.Magic(mime=True))
