"""Addresses of servers, such as `sftp://edc@edc.example.org/~/viral_load`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from dropslot.core.concealing import has_password

DEFAULT_PORT = 22
SCHEME = "sftp://"
_NO_PASSWORD = "expected no password in the address: `password` names where it comes from"
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/]*)")
_URL = re.compile(
    r"sftp://(?:(?P<user>[^@/:\s{}]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"/(?P<path>.*)",
    re.DOTALL,
)


def is_loopback(host: str) -> bool:
    """Whether a host's name or IP address is this machine's own, which no other can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Address(NamedTuple):
    """One place on a server. `path` is absolute, or begins with `~`, the folder in which the account starts there.

    The path is meant literally: nothing in it is percent-encoded. `user` is empty when the URL has none.
    """

    user: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The same address in its one spelling."""
        path = self.path if self.path.startswith("/") else f"/{self.path}"
        return f"{SCHEME}{self.server}{path}"

    @property
    def server(self) -> str:
        """`user@host:port`; the port only when it is not 22."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORT else f":{self.port}"
        return f"{self.user}@{host}{port}" if self.user else f"{host}{port}"

    @property
    def remote_path(self) -> str:
        """The path as the server takes it: what begins with `~` is relative to where the account starts."""
        if not self.path.startswith("~"):
            return self.path
        return self.path[2:] or "."


def scheme_of(text: str) -> str:
    """What stands before `://`, in small letters; empty for a path of this machine."""
    found = _SCHEME.match(text)
    return found["scheme"].lower() if found else ""


def server_of(text: str) -> str:
    """The account and server of an address in its usual spelling (`edc@edc.example.org:2222`), or what another scheme
    has in that place, such as a bucket; empty for a path of this machine."""
    found = _SCHEME.match(text)
    return found["server"] if found else ""


def place_of(text: str) -> str:
    """An address without its path, `sftp://edc@edc.example.org`; empty for a path of this machine."""
    found = _SCHEME.match(text)
    return found[0] if found else ""


def is_server(text: str) -> bool:
    """Whether a text is the address of a server up to its path, without the slash that begins it."""
    found = _SCHEME.fullmatch(text)
    return found is not None


def spelled(text: str) -> str:
    """An address in its one spelling, also of a scheme that is not known here: nothing in it is percent-encoded. Raises
    ValueError in words for the person who wrote it."""
    found = _SCHEME.match(text)
    if found is None:
        raise ValueError("expected an address that begins with its scheme, as sftp://")
    scheme, server = found["scheme"].lower(), found["server"]
    if scheme == "sftp":
        return parse(text).url
    if has_password(text):
        raise ValueError(_NO_PASSWORD)
    if not server or "{" in server:
        raise ValueError(f"expected {scheme}://PLACE or {scheme}://PLACE/PATH, with fields in the path alone")
    return f"{scheme}://{server}{_path(text[found.end() :])}".removesuffix("/")


def parse(text: str) -> Address:
    """The address in a URL; fields in its path stay. Raises ValueError in words for the person who wrote it."""
    found = _URL.fullmatch(text)
    if has_password(text):  # or what looks like one, such as an @ in the path where no user is named
        raise ValueError(_NO_PASSWORD)
    if not found:
        raise ValueError("expected sftp://USER@HOST/PATH or sftp://USER@HOST:PORT/~/PATH")
    port = int(found["port"] or DEFAULT_PORT)
    if not 0 < port < 65536:
        raise ValueError("expected a port between 1 and 65535")
    host = found["host"].strip("[]").lower()
    return Address(found["user"] or "", host, port, _path(found["path"]))


def _path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("expected a path without '..'")
    if parts and parts[0].startswith("~"):
        if parts[0] != "~":
            raise ValueError("expected ~ alone: for the home of another account, write its path")
        return "/".join(parts)
    return "/" + "/".join(parts)
