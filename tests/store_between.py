"""Stands between dropslot and a real object store, request by request: it kills whoever asks, cuts the connection, or
answers in place of the store, at chosen requests. Everything else passes through unchanged."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
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
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, address), daemon=True).start()

    def _serve(self, client: socket.socket, address: tuple[str, int]) -> None:
        with client, socket.create_connection(("127.0.0.1", self.store.port)) as server, suppress(OSError):
            stream = client.makefile("rb")
            while head := _head(stream):
                if not self._pass_on(client, address, server, stream, head):
                    return

    def _pass_on(
        self,
        client: socket.socket,
        address: tuple[str, int],
        server: socket.socket,
        stream: BinaryIO,
        head: bytes,
    ) -> bool:
        """One request with its answer; whether the connection goes on."""
        request = head.partition(b" HTTP/")[0].decode()
        with self._lock:
            self.requests.append(request)
            action = self.act(len(self.requests), request)
        body = _body(stream, head)
        if action == KILL_BEFORE:
            os.kill(_owner(address[1]), signal.SIGKILL)
        if action in (KILL_BEFORE, CUT_BEFORE):
            return False
        if action in _SAID:
            client.sendall(_refusal(*_SAID[action]))
            return True
        server.sendall(head)
        server.sendall(body)
        answer = _answer(server, request.partition(" ")[0])
        if action == KILL_AFTER:
            os.kill(_owner(address[1]), signal.SIGKILL)
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


def _body(stream: BinaryIO, head: bytes) -> bytes:
    found = _LENGTH.search(head)
    return stream.read(int(found[1])) if found else b""


def _answer(server: socket.socket, method: str) -> bytes:
    """The store's whole answer, with a length instead of chunks."""
    response = HTTPResponse(server, method=method)
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


def _owner(port: int) -> int:
    """The process that has this port of the loopback."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[1].startswith("0100007F"):
            return _holder(f"socket:[{fields[9]}]")
    raise LookupError(f"nobody has port {port}")


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
