"""gunicorn's worker with threads, alone in its process, and patient with slow clients (`client_connection`).

Uploads never have all threads: pages are answered, whatever large bodies do.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import ssl
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.config import Config as Options
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from dropslot.portal.serving.certificates import Certificate
from dropslot.portal.serving.client_connection import Connection, TooLarge
from dropslot.running import board

THREADS = 64  # an upload or a download takes one for as long as it lasts; made when they are needed
SPARE_THREADS = 16  # are never taken by large bodies
CONNECTIONS = 1000
HEAD_SECONDS = 15.0  # for a handshake and the head of a request; also how long an idle connection is kept
WRITE_SECONDS = 60.0  # for one piece of an answer that the client does not take
STOP_SECONDS = 3.0  # what large bodies get to end by themselves when the portal stops


class Log(Logger):  # type: ignore[misc]
    """gunicorn's errors go where all logs go; there is no log of requests: what matters of them is in the trail."""

    def setup(self, cfg: Options) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves in this process, without gunicorn's arbiter: who started it also starts it again."""

    def __init__(
        self, listener: socket.socket, application: Any, options: Options, tls: Certificate | None
    ) -> None:
        super().__init__(1, os.getppid(), [listener], application, 0, options, Log(options))
        self._tls = tls
        self._waiting: dict[Connection, float] = {}  # in the order of their deadlines
        self._large: set[Connection] = set()
        self._stopping_since = 0.0

    def must_end(self) -> bool:
        """Whether the portal stops and has waited long enough for bodies."""
        return not self.alive and time.monotonic() - self._stopping_since > STOP_SECONDS

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._stopping_since = self._stopping_since or time.monotonic()
        super().handle_exit(sig, frame)

    def init_signals(self) -> None:
        signal.signal(signal.SIGTERM, self.handle_exit)
        # Of a child of the service Ctrl-C is ignored: the service itself tells it to stop.
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self.handle_exit)
        signal.signal(
            signal.SIGHUP, signal.SIG_IGN
        )  # files of logs and certificates are looked at by themselves

    def is_parent_alive(self) -> bool:
        return True  # a child of the service ends with it by itself; after nohup the parent may end

    # The main thread

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            self.log.warning("No connection can be accepted now: %s", error)  # too many open files
            self.set_accept_enabled(False)  # for a second
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.nr_conns += 1
        tls = self._tls() if self._tls else None
        self._wait_for(Connection(self.cfg, (sock, client), self.must_end, tls))

    def _wait_for(self, conn: Connection) -> None:
        """Until its next request is here."""
        self._waiting[conn] = time.monotonic() + HEAD_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_ready, conn))
        if conn.head:
            self._on_ready(conn, conn.sock)

    def _on_ready(self, conn: Connection, sock: socket.socket) -> None:
        is_first = not conn.head
        try:
            conn.take()
        except (BlockingIOError, ssl.SSLWantReadError):
            self.poller.modify(sock, selectors.EVENT_READ, partial(self._on_ready, conn))
            if is_first and conn.head:  # an idle connection is in use again
                del self._waiting[conn]
                self._waiting[conn] = time.monotonic() + HEAD_SECONDS
        except ssl.SSLWantWriteError:
            self.poller.modify(sock, selectors.EVENT_WRITE, partial(self._on_ready, conn))
        except TooLarge:
            self._refuse(conn, 431, "Request Header Fields Too Large")
        except (OSError, ValueError):
            self._drop(conn)
        else:
            self._answer(conn)

    def _answer(self, conn: Connection) -> None:
        if conn.has_large_body and len(self._large) >= self.cfg.threads - SPARE_THREADS:
            self._refuse(conn, 503, "Service Unavailable", "Too many uploads at once. Try again in a minute.")
            return
        del self._waiting[conn]
        self.poller.unregister(conn.sock)
        if conn.has_large_body:
            self._large.add(conn)
        conn.hand_over()
        self.enqueue_req(conn)

    def _refuse(self, conn: Connection, status: int, reason: str, words: str = "") -> None:
        with suppress(OSError):  # it does not listen
            util.write_error(conn.sock, status, reason, words or reason)
        self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        del self._waiting[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close the connections whose time is over. Called about once a second: a sign of life."""
        board.mine().pulse()
        now = time.monotonic()
        for conn, deadline in list(self._waiting.items()):
            if deadline > now and self.alive:
                break
            if conn.head:
                self._refuse(conn, 408, "Request Timeout")
            else:
                self._drop(conn)

    def finish_request(self, conn: Connection, done: Future[bool]) -> None:
        self._large.discard(conn)
        if self.alive and not done.cancelled() and done.exception() is None and done.result():
            conn.begin_again()
            self._wait_for(conn)
        else:
            self.nr_conns -= 1
            conn.close()

    # A thread of the pool

    def handle(self, conn: Connection) -> bool:
        keep = super().handle(conn) is True and not conn.reader.is_cut and self.alive
        if not keep:
            util.close_graceful(conn.sock)  # may wait for the client: not in the main thread
        return keep

    def handle_request(self, req: Any, conn: Connection) -> bool:
        conn.sock.settimeout(WRITE_SECONDS)
        return bool(super().handle_request(req, conn))


def options(certificate: Path | None) -> Options:
    """gunicorn's, for this worker."""
    made = Options()
    wanted: dict[str, Any] = {
        "threads": THREADS,
        "worker_connections": CONNECTIONS,
        "keepalive": int(HEAD_SECONDS),
        "graceful_timeout": 5,
        "loglevel": "error",
        "limit_request_line": 8190,
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        "forwarded_allow_ips": "",
    }
    if certificate is not None:
        wanted["certfile"] = str(certificate)  # addresses begin with https
    for key, value in wanted.items():
        made.set(key, value)
    return made
