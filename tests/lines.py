"""A line between a client and a port of this machine: it counts what goes there, and can be cut."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE_BYTES = 256 * 1024
_RESET = struct.pack("ii", 1, 0)  # lingers for no time: what is not sent yet is lost, as when a network fails


class Line:
    """`sent_bytes` went from clients to the server. `crossed` is called once, by the line's thread, when they are more
    than `limit_bytes`."""

    def __init__(self, target: int) -> None:
        self.sent_bytes, self.limit_bytes = 0, float("inf")
        self.crossed: Callable[[], None] = lambda: None
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """End all connections; what was under way is lost."""
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _reset(end)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    _reset(client)
                    continue
                with self._lock:
                    self._ends |= {client, server}
                for one, other, counts in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=(one, other, counts), daemon=True).start()

    def _pass_on(self, here: socket.socket, there: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := here.recv(_PIECE_BYTES):
                there.sendall(data)
                if counts:
                    self._count(len(data))
        for end in (here, there):
            with self._lock:
                self._ends.discard(end)
            _reset(end)

    def _count(self, size_bytes: int) -> None:
        self.sent_bytes += size_bytes
        if self.sent_bytes > self.limit_bytes:
            self.limit_bytes = float("inf")
            self.crossed()


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    line = Line(port)
    try:
        yield line
    finally:
        line.close()
