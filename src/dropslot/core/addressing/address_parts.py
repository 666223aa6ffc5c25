"""The parts that addresses of all kinds have in common. Errors are in words for the person who wrote an address."""

from __future__ import annotations

import ipaddress

NO_PASSWORD = "expected no password in the address: `password` names where it comes from"
HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"


def is_loopback(host: str) -> bool:
    """Whether a host's name or IP address is this machine's own, which no other can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def port_of(digits: str | None, default: int) -> int:
    """A port as it is written, or the default. Raises ValueError."""
    port = int(digits or default)
    if not 0 < port < 65536:
        raise ValueError("expected a port between 1 and 65535")
    return port


def written(host: str, port: int, default: int) -> str:
    """`host:port` in its one spelling; the port only when it is not the default."""
    name = f"[{host}]" if ":" in host else host
    return name if port == default else f"{name}:{port}"


def path_of(path: str) -> str:
    """A path in its one spelling. Raises ValueError."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("expected a path without '..'")
    if parts and parts[0].startswith("~"):
        if parts[0] != "~":
            raise ValueError("expected ~ alone: for the home of another account, write its path")
        return "/".join(parts)
    return "/" + "/".join(parts)
