"""Ports for servers that tests start."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_100  # browsers refuse some below it


def free_port() -> int:
    """One of the loopback that nobody has now; who is told afterwards that somebody took it asks again.

    It is none that the kernel gives to a program which connects to somewhere: while a server is away, one that calls it
    would now and then get the server's own port, and the server could not start again.
    """
    end = int(_RANGE.read_text().split()[0])
    while True:
        port = _FIRST + secrets.randbelow(end - _FIRST)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def is_open(port: int) -> bool:
    """Whether something takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
