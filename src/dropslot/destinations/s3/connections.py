"""HTTP connections to one store: each is used by one request at a time, and kept for the next one.

By the standard library's client alone. Those that are built on it take twice its processor's time, and for small
objects the processor is what limits the rate.
"""

from __future__ import annotations

import http.client
import queue
import select
import socket
import ssl
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from botocore.exceptions import HTTPClientError, SSLError
from botocore.httpsession import get_cert_path

from dropslot.destinations.s3.sdk_client import ANSWER_SECONDS, CONNECT_SECONDS, Proxy

Bytes = bytes | bytearray | memoryview


class Reply(NamedTuple):
    """What came back, whatever its status. Names of headers: any case will do."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connections:
    """To the server of `url`, through the proxy if there is one. Safe for use by several threads."""

    def __init__(self, url: str, verify: str | bool, proxy: Proxy | None) -> None:
        self._url, self._proxy = urlsplit(url), proxy
        self._tls = _tls(str(get_cert_path(verify))) if self._url.scheme == "https" else None
        self._free: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        weakref.finalize(self, _close_all, self._free)

    def ask(self, method: str, target: str, data: Bytes, headers: Mapping[str, str]) -> Reply:
        """One request, one reply. Raises HTTPClientError if there is none, SSLError if the server is not trusted."""
        if self._proxy and not self._tls:  # it sees all
            target, headers = f"http://{self._url.netloc}{target}", {**headers, **self._proxy.headers}
        try:
            connection = self._free.get_nowait()
        except queue.Empty:
            connection = self._new()
        try:
            reply = _asked(connection, method, target, data, headers)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise SSLError(endpoint_url=self._url.geturl(), error=error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise HTTPClientError(error=error) from error
        self._free.put(connection)
        return reply

    def _new(self) -> http.client.HTTPConnection:
        host, port = self._proxy[:2] if self._proxy else (self._url.hostname or "", self._url.port)
        if not self._tls:
            return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        if self._proxy:
            connection.set_tunnel(self._url.hostname or "", self._url.port, self._proxy.headers)
        return connection


def _asked(
    connection: http.client.HTTPConnection, method: str, target: str, data: Bytes, headers: Mapping[str, str]
) -> Reply:
    _open(connection)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    with suppress(BrokenPipeError):  # it refuses before it has read all
        connection.endheaders(data or None)
    with connection.getresponse() as reply:
        return Reply(reply.status, reply.headers, reply.read())


def _open(connection: http.client.HTTPConnection) -> None:
    """Connect, unless it is connected; a server closes what was idle for long."""
    line: socket.socket | None = connection.sock
    if line is not None and _has_ended(line):
        connection.close()
        line = None
    if line is None:
        connection.connect()
        line = cast(socket.socket, connection.sock)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.settimeout(ANSWER_SECONDS)


def _has_ended(line: socket.socket) -> bool:
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))


def _close_all(connections: queue.LifoQueue[http.client.HTTPConnection]) -> None:
    while not connections.empty():
        connections.get_nowait().close()


def _tls(authorities: str) -> ssl.SSLContext:
    if Path(authorities).is_dir():
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)
