"""What a payload can be shown as, by its content alone: names and recorded types say nothing about it."""

from __future__ import annotations

import codecs
import os
import re
from enum import StrEnum

from dropslot.access.payloads.open_payload import Payload

SHOWN_BYTES = 64 * 1024 * 1024  # what is larger is only downloaded
TEXT_BYTES = 200_000
_BEGINNING = 1024
# Formats that a browser draws and in which nothing can run: no SVG.
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"))
_PDF = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\0\n\r])[\t\f ]*%PDF-\d")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CONTROLS = {*range(0x20), 0x7F} - set(b"\t\n\r\f\x1b")
# Turn text around or hide it, or are no text.
_NOT_SHOWN = dict.fromkeys(
    [*_CONTROLS, 0x0C, 0x1B, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"
)


class Look(StrEnum):
    """How a payload is shown."""

    PDF = "pdf"
    PICTURE = "picture"
    TEXT = "text"
    LARGE = "large"
    NOTHING = "nothing"


def look_of(payload: Payload) -> Look:
    """How to show these bytes."""
    if payload.size_bytes > SHOWN_BYTES:
        return Look.LARGE
    beginning = os.pread(payload.fd, _BEGINNING, 0)
    if _PDF.search(beginning):
        return Look.PDF
    if picture_type(beginning):
        return Look.PICTURE
    text = os.pread(payload.fd, TEXT_BYTES, 0)
    return Look.TEXT if text and _encoding(text) else Look.NOTHING


def picture_type(beginning: bytes) -> str:
    """`image/…` if a browser can draw it safely; otherwise empty."""
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((f"image/{kind}" for magic, kind in _PICTURES if beginning.startswith(magic)), "")


def text_of(beginning: bytes) -> str:
    """The beginning of a text as people may see it, whatever its encoding."""
    decoder = codecs.getincrementaldecoder(_encoding(beginning) or "latin-1")("replace")
    # Not final: the last character may be cut.
    return decoder.decode(beginning).replace("\r\n", "\n").replace("\r", "\n").translate(_NOT_SHOWN)


def _encoding(beginning: bytes) -> str:
    """Guessed; empty if it is no text."""
    if marked := next((name for mark, name in _MARKS if beginning.startswith(mark)), ""):
        return marked
    if not _CONTROLS.isdisjoint(beginning):
        return ""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        # Bytes that Windows has no letters for are rare in texts, and frequent in everything else.
        unknown = sum(map(beginning.count, (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")))
        return "cp1252" if unknown * 1000 < len(beginning) else ""
    return "utf-8"
