"""A page of a PDF as a picture, drawn by a process without rights that sees this one file and ends."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass

from dropslot.access.payloads.open_payload import Payload
from dropslot.access.payloads.payload_responses import hashed
from dropslot.parsing.page_points import BYTES_A_POINT, stride_of
from dropslot.parsing.process import PDF_PAGES, BreaksParser, NotParsed, Parser
from dropslot.portal.preview.points import png_of

WIDTH = 1240  # an A4 page at 150 points an inch
MOST_BYTES = 4_000_000 * BYTES_A_POINT
SECONDS = 10.0
_MEMORY_BYTES = 768 * 1024 * 1024
# Limits this process, and remembers nothing: it is not in the context.
_AT_ONCE = threading.BoundedSemaphore(2)
_WHY = {
    "empty": "The file is empty",
    "format": "It is damaged: it cannot be read as a PDF",
    "password": "It needs a password",
    "memory": "It needs too much memory",
    "page": "This page cannot be read, or there is none of this number",
}


class NotDrawn(Exception):
    """The page cannot be shown; the text says why, as a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as a PNG, and the number of pages of the document."""

    png: bytes
    width: int
    height: int
    pages: int


def draw(payload: Payload, number: int) -> Page:
    """Draw a page, counted from 1. What is drawn is a copy that was proved to be as delivered. Raises NotDrawn,
    NotAsDelivered, OSError."""
    # A process for this page alone: a file that takes it over can change the picture of no other file.
    with _AT_ONCE, ExitStack() as stack:
        document = _memory(stack, "document")
        for block in hashed(payload):
            os.write(document, block)
        canvas = _memory(stack, "canvas")
        os.ftruncate(canvas, MOST_BYTES)
        readable = os.open(f"/proc/self/fd/{document}", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, readable)
        said = _asked(readable, canvas, number)
        width, height, pages = (_size(said.get(key)) for key in ("width", "height", "pages"))
        if not 0 < stride_of(width) * height <= MOST_BYTES:
            raise NotDrawn(_WHY.get(str(said.get("error")), "It cannot be drawn"))
        return Page(png_of(canvas, width, height), width, height, pages or number)


def _size(value: object) -> int:
    """A number that the other process said; 0 unless it can be one of points or pages."""
    return value if type(value) is int and 0 < value <= MOST_BYTES else 0


def _memory(stack: ExitStack, name: str) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _asked(document: int, canvas: int, number: int) -> dict[str, int]:
    parser = Parser(PDF_PAGES, _MEMORY_BYTES)
    try:
        question = {"page": number, "width": WIDTH, "most_bytes": MOST_BYTES}
        said = parser.ask([document, canvas], question, SECONDS)
    except BreaksParser as error:
        raise NotDrawn("It is damaged, or takes too long to draw") from error
    except NotParsed as error:
        raise NotDrawn("It cannot be drawn now; try again in a minute") from error
    finally:
        parser.close()
    return said if isinstance(said, dict) else {}
