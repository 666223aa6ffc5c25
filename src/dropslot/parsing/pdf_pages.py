"""Draws a page of a PDF, with PDFium. Runs in a process without rights, see `program`.

Besides the PDF it gets memory to draw in: what it hands back are colours of points, whatever the PDF does to it.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from typing import Any

import pypdfium2.raw as pdfium

from dropslot.parsing import pdf_end
from dropslot.parsing.page_points import BYTES_A_POINT, stride_of

_PASSWORD_NEEDED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
_FLAGS = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER | pdfium.FPDF_NO_CATCH
_WHITE = 0xFFFFFFFF


def parse(descriptors: list[int], question: dict[str, int]) -> dict[str, Any]:
    """Draw page `page` (from 1), `width` points wide if its height allows that, into the second descriptor, which holds
    `most_bytes`: `{"pages", "width", "height"}`, rows of red, green, blue. Or `{"error": WORD}`: empty, format,
    password, memory, page (there is none of that number, or it cannot be read)."""
    document, canvas = descriptors
    size = os.lseek(document, 0, os.SEEK_END)
    if size == 0:
        return {"error": "empty"}
    try:
        with (
            mmap.mmap(document, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as read,
            mmap.mmap(canvas, question["most_bytes"], mmap.MAP_SHARED) as drawn,
        ):
            return _answer(read, drawn, question)
    except MemoryError:
        return {"error": "memory"}
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return {"error": "memory"}


def _answer(read: mmap.mmap, drawn: mmap.mmap, question: dict[str, int]) -> dict[str, Any]:
    if pdf_end.header(read) < 0:
        return {"error": "format"}
    whole = (ctypes.c_ubyte * len(read)).from_buffer(read)
    document = pdfium.FPDF_LoadMemDocument64(whole, len(read), None)
    try:
        if not document:
            code = pdfium.FPDF_GetLastError()
            return {"error": "password" if code in _PASSWORD_NEEDED else "format"}
        pages = pdfium.FPDF_GetPageCount(document)
        if not 1 <= question["page"] <= pages:
            return {"error": "page", "pages": pages}
        return _page(document, drawn, question) | {"pages": pages}
    finally:
        if document:
            pdfium.FPDF_CloseDocument(document)
        del whole  # else the mapping cannot be closed


def _page(document: Any, drawn: mmap.mmap, question: dict[str, int]) -> dict[str, Any]:
    page = pdfium.FPDF_LoadPage(document, question["page"] - 1)
    if not page:
        return {"error": "page"}
    try:
        width, height = _size(page, question["width"], len(drawn))
        _draw(page, drawn, width, height)
        return {"width": width, "height": height}
    finally:
        pdfium.FPDF_ClosePage(page)


def _size(page: Any, width: int, most_bytes: int) -> tuple[int, int]:
    wide, high = (max(side(page), 1.0) for side in (pdfium.FPDF_GetPageWidthF, pdfium.FPDF_GetPageHeightF))
    height = width * high / wide
    fits = min(1.0, (most_bytes / BYTES_A_POINT / (width * height)) ** 0.5)
    found = max(1, int(width * fits)), max(1, int(height * fits))
    while stride_of(found[0]) * found[1] > most_bytes:
        found = max(1, found[0] * 9 // 10), max(1, found[1] * 9 // 10)
    return found


def _draw(page: Any, drawn: mmap.mmap, width: int, height: int) -> None:
    points = (ctypes.c_ubyte * len(drawn)).from_buffer(drawn)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGR, points, stride_of(width))
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, _FLAGS)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
        del points
