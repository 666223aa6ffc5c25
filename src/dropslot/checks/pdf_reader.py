"""The program that reads PDFs for `pdf_contains`: a process by itself, so that no file can harm who asks.

    python pdf_reader.py DESCRIPTOR MEMORY_BYTES

DESCRIPTOR is a Unix socket of the kind SOCK_SEQPACKET. A question is one message, `{"wanted": [TEXT, …],
"seconds": N}` with the descriptor of the PDF beside it; its answer is one message of JSON, see `answer`. The
process ends when the other side closes. A file that needs more than `seconds` of computing ends it by SIGPROF, one
that breaks PDFium by whatever signal that gives: who asked sees which. Nothing of dropslot is imported here.
"""

from __future__ import annotations

import array
import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium
import regex  # in which a mark belongs to its word: Hindi, Thai, Arabic

MOST_BYTES = 64 * 1024
_LISTED = 5
_TAIL_BYTES = 1024
_PASSWORD_NEEDED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
# What PDFium gives for a hyphen at the end of a line, soft hyphens, and the other dashes that look like one.
_DASHES = dict.fromkeys(map(ord, "\x02\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufffe"), "-")
# Raised, lowered and circled digits and fractions: NFKC makes plain digits of them, but the note 2 at a 1 is no 12.
_NOTES = regex.compile(
    "([\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2079\u2080-\u2089\u2150-\u215f\u2189\u2460-\u249b\u24ea-\u24ff])"
)


def main() -> None:
    """Answer questions until the other side closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _confine(int(sys.argv[2]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MOST_BYTES, 1)
        if not message:
            return
        question = json.loads(message)
        signal.setitimer(signal.ITIMER_PROF, question["seconds"])
        said = answer(descriptors[0], question["wanted"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.close(descriptors[0])
        channel.send(json.dumps(said).encode("ascii"))


def _confine(memory_bytes: int) -> None:
    """No more memory than that, no file written, no core left, hardly a file opened (PDFium looks for fonts)."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 32,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def answer(descriptor: int, wanted: list[str]) -> dict[str, Any]:
    """What was found: `{"pages", "missing", "without_text", "unread"}` (the texts that no page has, how many pages
    have no text, the first pages that cannot be read and `unread_pages`, their number), or `{"error": WORD}`: empty,
    cut, format, password, memory."""
    if os.fstat(descriptor).st_size == 0:
        return {"error": "empty"}
    try:
        # A private mapping: ctypes wants memory that may be written, and nothing is copied.
        with mmap.mmap(descriptor, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            return _answer(mapped, wanted)
    except (MemoryError, OSError):
        return {"error": "memory"}


def _answer(mapped: mmap.mmap, wanted: list[str]) -> dict[str, Any]:
    size = len(mapped)
    if mapped.find(b"%PDF-", 0, _TAIL_BYTES) < 0:
        return {"error": "format"}
    if mapped.rfind(b"%%EOF", max(0, size - _TAIL_BYTES)) < 0:
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
    """Page after page, until all was found."""
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
    """The text with any blanks and line breaks within it, and no part of a longer number or word."""
    letters = [regex.escape(letter) for letter in _plain(text) if not letter.isspace()]
    return regex.compile(_edge(letters[0], "?<!") + r"\s*".join(letters) + _edge(letters[-1], "?!"))


def _edge(letter: str, look: str) -> str:
    if letter.isdigit():
        return rf"({look}\d)"
    return rf"({look}[^\W\d_])" if regex.match(r"[^\W\d_]", letter) else ""


if __name__ == "__main__":
    main()
