"""Looks for texts in PDFs, with PDFium. Runs in a process without rights, see `program`."""

from __future__ import annotations

import array
import codecs
import ctypes
import errno
import mmap
import os
import unicodedata
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium
import regex  # in which a mark belongs to its word: Hindi, Thai, Arabic

from dropslot.parsing import pdf_end

_LISTED = 5
_PASSWORD_NEEDED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
# PDFium's character for a hyphen at the end of a line, soft hyphens, and the other dashes that look like a hyphen.
_DASHES = dict.fromkeys(map(ord, "\x02\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufffe"), "-")
# Raised, lowered and circled digits and fractions: NFKC would make plain digits of them, but a 1 with the footnote 2
# is not 12.
_NOTES = regex.compile(
    "([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2079\u2080-\u2089\u2150-\u215f\u2189\u2460-\u249b\u24ea-\u24ff])"
)


def prepare() -> None:
    """Load what Python would later look for in files."""
    codecs.lookup("utf-16-le")


def parse(descriptors: list[int], wanted: list[str]) -> dict[str, Any]:
    """What was found in one PDF: `{"pages", "missing", "without_text", "unread"}` (the texts that no page has, how
    many pages have no text, the first pages that cannot be read and `unread_pages`, their number), or
    `{"error": WORD}`: empty, cut, format, password, memory."""
    (descriptor,) = descriptors
    size = os.lseek(descriptor, 0, os.SEEK_END)  # not by fstat, which looks paths up as well and is forbidden
    if size == 0:
        return {"error": "empty"}
    try:
        # A private mapping: ctypes needs writable memory, and nothing is copied.
        with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            return _answer(mapped, wanted)
    except MemoryError:
        return {"error": "memory"}
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise  # an error of the disk, which says nothing about the PDF
        return {"error": "memory"}


def _answer(mapped: mmap.mmap, wanted: list[str]) -> dict[str, Any]:
    if pdf_end.header(mapped) < 0:
        return {"error": "format"}
    size = pdf_end.end(mapped)
    if not size:
        return {"error": "cut"}
    whole = (ctypes.c_ubyte * size).from_buffer(mapped)
    document = pdfium.FPDF_LoadMemDocument64(whole, size, None)
    try:
        if not document:
            code = pdfium.FPDF_GetLastError()
            return {"error": "password" if code in _PASSWORD_NEEDED else "format"}
        return _look(document, wanted)
    finally:
        if document:
            pdfium.FPDF_CloseDocument(document)
        del whole  # else the mapping cannot be closed


def _look(document: Any, wanted: list[str]) -> dict[str, Any]:
    """Page after page, until everything is found."""
    pages = pdfium.FPDF_GetPageCount(document)
    missing = {text: _pattern(text) for text in wanted}
    without_text, unread = 0, []
    for number in range(1, pages + 1):
        text = _text_of(document, number - 1)
        if text is None:
            unread.append(number)
        elif not text.strip():
            without_text += 1
        else:
            missing = {each: pattern for each, pattern in missing.items() if not pattern.search(text)}
        if not missing:
            break
    return {
        "pages": pages,
        "missing": list(missing),
        "without_text": without_text,
        "unread": unread[:_LISTED],
        "unread_pages": len(unread),
    }


def _text_of(document: Any, index: int) -> str | None:
    """The text of one page, with one kind of dash; None when the page cannot be read."""
    page = pdfium.FPDF_LoadPage(document, index)
    if not page:
        return None
    try:
        text_page = pdfium.FPDFText_LoadPage(page)
        if not text_page:
            return None
        try:
            return _plain("".join(_characters(text_page)))
        finally:
            pdfium.FPDFText_ClosePage(text_page)
    finally:
        pdfium.FPDF_ClosePage(page)


def _characters(text_page: Any) -> Iterator[str]:
    count = pdfium.FPDFText_CountChars(text_page)
    if count > 0:
        units = array.array("H", bytes(2 * (count + 1)))
        buffer = (ctypes.c_ushort * len(units)).from_buffer(units)
        written = pdfium.FPDFText_GetText(text_page, 0, count, buffer)
        yield units[: max(written - 1, 0)].tobytes().decode("utf-16-le", "replace")


def _plain(text: str) -> str:
    parts = _NOTES.split(text.translate(_DASHES))
    parts[::2] = [unicodedata.normalize("NFKC", part) for part in parts[::2]]
    return "".join(parts)


def _pattern(text: str) -> Any:
    """A pattern for the text with any blanks and line breaks in it, but not inside a longer number or word."""
    letters = [regex.escape(letter) for letter in _plain(text) if not letter.isspace()]
    return regex.compile(_edge(letters[0], "?<!") + r"\s*".join(letters) + _edge(letters[-1], "?!"))


def _edge(letter: str, look: str) -> str:
    if letter.isdigit():
        return rf"({look}\d)"
    return rf"({look}[^\W\d_])" if regex.match(r"[^\W\d_]", letter) else ""
