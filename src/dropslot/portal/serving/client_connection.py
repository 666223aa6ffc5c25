"""A client's connection, read with a limit of time, so that slow clients keep no others from being answered.

A connection takes a thread only once the head of its request is here, with its body if that is small. Until then it
waits in the loop of the main thread, as does a TLS handshake (`threads`). A body that stalls, or comes at less than
`LEAST_RATE`, ends as if the client had gone.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

MAX_HEAD = 64 * 1024
SMALL_BODY = 64 * 1024  # is read before a thread is taken
SILENT_SECONDS = 20.0  # in the middle of a body
LEAST_RATE = 500  # bytes a second, counted once a body has let us wait for SILENT_SECONDS

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_END = b"\r\n\r\n"


class TooLarge(OSError):
    """A head of a request that no browser sends."""


class Paced(SocketUnreader):  # type: ignore[misc]
    """Reads a body. What stalls, or still comes when the portal stops, reads as ended: `is_cut`."""

    def __init__(self, sock: socket.socket, must_end: Callable[[], bool]) -> None:
        super().__init__(sock)
        self._must_end = must_end
        self._waited = 0.0
        self._received = 0
        self.is_cut = False

    def begin(self) -> None:
        """Another request: its body has its own pace."""
        self._waited, self._received = 0.0, 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        size = max(self.mxchunk, min(size_hint or 0, self.max_body_chunk))
        before = self.sock.gettimeout()
        end = time.monotonic() + min(SILENT_SECONDS, before or SILENT_SECONDS)
        self.sock.settimeout(1.0)
        try:
            while not self._must_end() and time.monotonic() < end and self._is_in_time():
                begun = time.monotonic()
                try:
                    data: bytes = self.sock.recv(size)
                except TimeoutError:
                    continue
                finally:
                    self._waited += time.monotonic() - begun
                self._received += len(data)
                return data
        finally:
            self.sock.settimeout(before)
        self.is_cut = True
        return b""

    def _is_in_time(self) -> bool:
        return self._waited < SILENT_SECONDS + self._received / LEAST_RATE


class Connection(TConn):  # type: ignore[misc]
    """A client's connection, and what has come of its next request."""

    def __init__(
        self,
        options: Any,
        accepted: tuple[socket.socket, Any],
        must_end: Callable[[], bool],
        tls: ssl.SSLContext | None,
    ) -> None:
        sock, client = accepted
        super().__init__(options, sock, client, sock.getsockname())
        if tls is not None:
            self.sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self.sock.setblocking(False)
        self.handshake_is_due = tls is not None
        self.head = bytearray()
        self.has_large_body = False
        self.parser = get_parser(options, self.sock, client)
        self.parser.unreader = self.reader = Paced(self.sock, must_end)
        self.initialized = self.data_ready = True  # the parser is here, and gets what was read

    def take(self) -> None:
        """Take what has come. Raises BlockingIOError or an SSLWant…Error when no more is there for now, other OSErrors
        when the connection is over."""
        if self.handshake_is_due:
            self.sock.do_handshake()
            self.handshake_is_due = False
        while not self.is_complete():
            data = self.sock.recv(MAX_HEAD)
            if not data:
                raise ConnectionResetError
            self.head += data

    def is_complete(self) -> bool:
        """Whether a thread need not wait for the rest. Raises TooLarge."""
        end = self.head.find(_END)
        if end < 0:
            if len(self.head) > MAX_HEAD:
                raise TooLarge
            return False
        head = bytes(self.head[: end + 2])
        match = _LENGTH.search(head)
        length = int(match[1]) if match else 0
        self.has_large_body = length > SMALL_BODY or _CHUNKED.search(head) is not None
        if self.has_large_body or _EXPECT.search(head):
            return True
        return len(self.head) >= end + len(_END) + length

    def hand_over(self) -> None:
        """Give the parser what was read."""
        self.reader.begin()
        self.reader.unread(bytes(self.head))
        self.head.clear()

    def begin_again(self) -> None:
        """After an answer: what has already come of the next request."""
        self.sock.setblocking(False)
        self.head += self.reader.take_buffered()
