"""Clients that send as slowly as they can, and answers read from a bare socket."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


class Raw:
    """One connection, with exactly the bytes that a test sends."""

    def __init__(self, port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.settimeout(30)
        self.socket.connect((host, port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def __del__(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Raw:
        self.socket.sendall(data)
        return self

    def status(self) -> int:
        """Of the answer; 0: the connection was closed without one."""
        try:
            line = self.line()
        except OSError:
            return 0
        return int(line.split()[1]) if line else 0

    def line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n") and (byte := self.socket.recv(1)):
            line += byte
        return line

    def rest(self) -> bytes:
        """What still comes until the other side closes."""
        found = b""
        while part := self.socket.recv(65536):
            found += part
        return found

    def is_closed(self) -> bool:
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def drip(self) -> None:
        """One more byte, if the other side still listens."""
        try:
            self.socket.send(b"a")
        except OSError:
            return


@contextmanager
def many(count: int, port: int, begin: bytes) -> Iterator[list[Raw]]:
    """Connections that have begun a request and do not go on."""
    made = [Raw(port).send(begin) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.socket.close()
