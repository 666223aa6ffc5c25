"""Stands between dropslot and a real object store, request by request: it kills whoever asks, cuts the connection, or
answers in place of the store, at chosen requests. Everything else passes through unchanged."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from stores import ObjectStore

KILL_BEFORE, KILL_AFTER = (
    "kill before",
    "kill after",
)  # the client is killed; the store has had the request, or not
CUT_BEFORE, CUT_AFTER = "cut before", "cut after"  # the connection is closed, likewise
SLOW_DOWN = "slow down"
EXPIRED = "expired"
_SAID = {
    SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    EXPIRED: (400, "ExpiredToken", "The provided token has expired."),
}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PIECE_BYTES = 1 << 18

Act = Callable[[int, str], str | None]


class Between:
    """`act` is asked what to do at each request: its number from 1, and its method and path."""

    def __init__(self, store: ObjectStore, act: Act = lambda number, request: None) -> None:
        self.store, self.act = store, act
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._served: list[tuple[socket.socket, threading.Thread]] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Nothing of it is at work afterwards."""
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join()
        for client, thread in self._served:
            with suppress(OSError):  # it has ended by itself
                client.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._served.append((client, thread))
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        # The stream is closed as well: the descriptor stays open as long as one of the two is.
        with (
            client,
            client.makefile("rb") as stream,
            suppress(OSError, HTTPException),
            socket.create_connection(("127.0.0.1", self.store.port)) as server,
        ):
            while head := _head(stream):
                if not self._pass_on(client, server, stream, head):
                    return

    def _pass_on(self, client: socket.socket, server: socket.socket, stream: BinaryIO, head: bytes) -> bool:
        """One request with its answer; whether the connection goes on."""
        request = head.partition(b" HTTP/")[0].decode()
        with self._lock:
            self.requests.append(request)
            action = self.act(len(self.requests), request)
        body = _body(stream, head)
        if action == KILL_BEFORE:
            os.kill(owner(client), signal.SIGKILL)
        if action in (KILL_BEFORE, CUT_BEFORE):
            return False
        if action in _SAID:
            client.sendall(_refusal(*_SAID[action]))
            return True
        if body is None:  # its client was killed in the middle: the store would wait for the rest
            return False
        server.sendall(head)
        server.sendall(body)
        answer = _answer(server, request.partition(" ")[0])
        if action == KILL_AFTER:
            os.kill(owner(client), signal.SIGKILL)
        if action in (KILL_AFTER, CUT_AFTER):
            return False
        client.sendall(answer)
        return True


def _head(stream: BinaryIO) -> bytes:
    """A request up to its empty line; nothing at the end of the connection."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line == b"\r\n" and len(lines) > 1:
            return b"".join(lines)
    return b""


def _body(stream: BinaryIO, head: bytes) -> bytes | None:
    """None: it ends too early."""
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    body = stream.read(length)
    return body if len(body) == length else None


def _answer(server: socket.socket, method: str) -> bytes:
    """The store's whole answer, with a length instead of chunks."""
    with closing(HTTPResponse(server, method=method)) as response:
        response.begin()
        body = response.read()
    length = response.headers["Content-Length"] if method == "HEAD" else str(len(body))
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in _FRAMING]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


_FRAMING = ("content-length", "transfer-encoding", "connection")


def _refusal(status: int, code: str, message: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def owner(accepted: socket.socket) -> int:
    """The process at the other end of a connection on this machine.

    Both ends count: another connection may have, or have had a minute ago, the same port on its side.
    """
    ends = [_as_the_kernel(end) for end in (accepted.getpeername(), accepted.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return _holder(f"socket:[{fields[9]}]")
    raise LookupError(f"nobody has {ends}")


def _as_the_kernel(end: tuple[str, int]) -> str:
    """An address as /proc/net/tcp has it."""
    number = int.from_bytes(socket.inet_aton(end[0]), sys.byteorder)
    return f"{number:08X}:{end[1]:04X}"


def _holder(name: str) -> int:
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and any(os.readlink(fd) == name for fd in (entry / "fd").iterdir()):
                return int(entry.name)
    raise LookupError(f"nobody has {name}")


@contextmanager
def between(store: ObjectStore, act: Act = lambda number, request: None) -> Iterator[Between]:
    """One that ends with the block."""
    made = Between(store, act)
    try:
        yield made
    finally:
        made.close()
