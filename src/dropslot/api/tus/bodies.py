"""The body of a request, as it comes: never more than one piece of it is in memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, UnreadablePostError

PIECE = 1024 * 1024  # bytes
STALL_SECONDS = 30.0  # without a single byte; the client resumes on a new connection
_DISCARDED = 64 * PIECE  # what is read of a body that nobody wants, so that its sender reads the answer


class Body:
    """The bytes that come with a request. `length` is None if the client does not say it."""

    def __init__(self, request: HttpRequest) -> None:
        environ = getattr(request, "environ", {})
        self._stream: Any = environ.get("wsgi.input", request)
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        said = request.META.get("CONTENT_LENGTH") or ""
        is_chunked = not said and bool(request.headers.get("Transfer-Encoding"))
        self.length: int | None = None if is_chunked else int(said) if said.isdigit() else 0
        self._left = self.length
        self.is_broken = False

    @classmethod
    def empty(cls) -> Body:
        """Of a request that has none."""
        return cls(HttpRequest())

    def pieces(self) -> Iterator[bytes]:
        """Its bytes until its end. If the connection breaks or stalls it ends sooner, and `is_broken` is set."""
        before = self._socket.gettimeout() if self._socket else None
        self._wait_at_most(min(before or STALL_SECONDS, STALL_SECONDS))
        try:
            while piece := self._read():
                yield piece
        finally:
            self._wait_at_most(before)
        self.is_broken = self.is_broken or bool(self._left)

    def discard(self) -> None:
        """Read on after an error, so that its sender reads the answer. A very long rest ends the connection."""
        seen = 0
        for piece in self.pieces():
            seen += len(piece)
            if seen > _DISCARDED:
                break
        if (self._left or self._left is None) and self._socket is not None and seen > _DISCARDED:
            self._socket.shutdown(socket.SHUT_RD)

    def _read(self) -> bytes:
        wanted = PIECE if self._left is None else min(PIECE, self._left)
        if not wanted or self.is_broken:
            return b""
        try:
            piece: bytes = self._stream.read(wanted)
        except (OSError, UnreadablePostError, ValueError):  # cut off, stalled, or chunks that are none
            self.is_broken = True
            return b""
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def _wait_at_most(self, seconds: float | None) -> None:
        if self._socket is not None:
            self._socket.settimeout(seconds)
