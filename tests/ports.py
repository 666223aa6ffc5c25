"""Ports for servers that tests start."""

from __future__ import annotations

import socket


def free_port() -> int:
    """One of the loopback that nobody has now; who is told afterwards that somebody took it asks again."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
