"""The portal's server with an application that counts what comes, in a process of its own: `python … PORT`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

PIECE = 1 << 20


def count(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """How many bytes a body had; after /early without reading them."""
    received = 0
    while environ["PATH_INFO"] != "/early" and (part := environ["wsgi.input"].read(PIECE)):
        received += len(part)
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(str(received))))])
    return [str(received).encode()]


class Application:
    """As gunicorn's workers ask for it."""

    @staticmethod
    def wsgi() -> Callable[..., Iterable[bytes]]:
        return count


if __name__ == "__main__":
    from dropslot.portal.serving.threads import Worker, options

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    Worker(listener, Application, options(None), None).init_process()
    os._exit(0)
