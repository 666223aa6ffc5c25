"""MIME types, found out from content: a name proves nothing.

Only the first 64 KiB are looked at. The types are libmagic's; what imaging people send and libmagic does not know
is recognised here. A file may have several: a compressed NIfTI volume is `application/x-nifti` and `application/gzip`.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from dropslot.checks.base import Check, StagedItem
from dropslot.core.names import escape

LOOKED_AT_BYTES = 64 * 1024
EMPTY = "inode/x-empty"
DICOM = "application/dicom"
NIFTI = "application/x-nifti"
GZIP = "application/gzip"
PAR = "text/x-philips-par"

# libmagic's and people's other words for the same type.
_SAME = {
    "application/x-gzip": GZIP,
    "application/x-zip-compressed": "application/zip",
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "text/xml": "application/xml",
    "application/x-nifti-gz": NIFTI,
}
_TYPE = re.compile(r"[a-z0-9*][a-z0-9!#$&^_.+*?-]*/[a-z0-9*][a-z0-9!#$&^_.+*?-]*")
_GZIP_START = b"\x1f\x8b"
# Headers of Philips' text export beside a REC file: general comments, then the word that all versions share.
_PAR_START = re.compile(rb"\A\s*#\s*=== DATA DESCRIPTION FILE ===")


class MimeTypes(Check):
    """Each item's content must have one of the types; `image/*` is every image. An empty item has none of them."""

    def __init__(self, option: Sequence[str]) -> None:
        super().__init__(option)
        if isinstance(option, str) or not option:
            raise ValueError("expected a list of MIME types, such as ['application/pdf', 'image/*']")
        self._wanted = [_pattern(text) for text in option]
        _libmagic()  # missing: found at start

    def check_item(self, item: StagedItem) -> Iterable[str]:
        """A reason, if the content has none of the types."""
        with item.open() as staged:
            found = types_of(staged.read(LOOKED_AT_BYTES))
        item.is_of_type(found[0])
        if not any(fnmatchcase(one, wanted) for one in found for wanted in self._wanted):
            yield f"{escape(item.path)}: its content is {found[0]}, which is none of {', '.join(self.option)}"


def types_of(beginning: bytes) -> tuple[str, ...]:
    """The types of content that begins with these bytes (64 KiB are enough), the most telling one first."""
    if not beginning:
        return (EMPTY,)
    known = _imaging_type(beginning)
    general = _canonical(_libmagic().from_buffer(beginning[:LOOKED_AT_BYTES]))
    if beginning.startswith(_GZIP_START):
        inner = _imaging_type(_first_unpacked(beginning))
        return (inner, GZIP) if inner else (GZIP,)
    return (known, general) if known and known != general else (known or general,)


def _imaging_type(beginning: bytes) -> str:
    if beginning[128:132] == b"DICM":
        return DICOM
    if _is_nifti(beginning):
        return NIFTI
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
    """The first kilobyte inside of a gzip file; empty when it is malformed. Never more: it may be a bomb."""
    try:
        return zlib.decompressobj(wbits=31).decompress(beginning, 1024)
    except zlib.error:
        return b""


def _pattern(text: object) -> str:
    if not isinstance(text, str) or not _TYPE.fullmatch(text.strip().lower()):
        raise ValueError(f"expected a MIME type such as application/pdf or image/*, not {text!r}")
    return _canonical(text)


def _canonical(mime: str) -> str:
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
