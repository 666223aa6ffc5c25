"""The parts of a multipart/related body (RFC 2387), one after the other: never more than a piece is in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.http.multipartparser import InterBoundaryIter, LazyStream
from django.utils.http import parse_header_parameters

from dropslot.api.tus.bodies import Body
from dropslot.api.tus.problems import Problem

DICOM = "application/dicom"
_MOST_HEADER_BYTES = 8192
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}", re.ASCII)
_END = b"\r\n\r\n"


def boundary_of(content_type: str) -> bytes:
    """The boundary of `multipart/related; type="application/dicom"`. Raises Problem for anything else."""
    kind, values = parse_header_parameters(content_type)
    inner = values.get("type", "").lower()
    if kind != "multipart/related" or inner != DICOM:
        raise Problem(
            415,
            f"The body is not multipart/related of {DICOM}",
            f'Send Content-Type: multipart/related; type="{DICOM}"; boundary=…',
        )
    boundary = values.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise Problem(400, "The Content-Type has no valid boundary", "Say it as RFC 2046 has it")
    return boundary.encode("ascii")


class Parts:
    """Each part is an iterator of its pieces, to be read before the next one. Raises Problem if the body is cut."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._streams = InterBoundaryIter(LazyStream(body.pieces()), b"--" + boundary)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        is_preamble = True
        for stream in self._streams:
            head = stream.read(_MOST_HEADER_BYTES)
            if head.startswith(b"--"):
                return
            if not is_preamble or head.startswith(b"\r\n"):
                yield _content(head, stream)
            is_preamble = False
        raise Problem(
            400, "The body ends before its last boundary", "Send it again; the same bytes count once"
        )


def _content(head: bytes, stream: LazyStream) -> Iterator[bytes]:
    # After the boundary comes a line's end, then the header's lines, if any, and an empty line.
    place = head.find(_END)
    if place < 0:
        raise Problem(400, "A part's header has no end", "Send each part as RFC 2046 has it")
    yield head[place + len(_END) :]
    yield from stream
