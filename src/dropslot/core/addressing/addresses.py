"""Addresses of servers, such as `sftp://edc@edc.example.org/~/viral_load`."""

from __future__ import annotations

import re
from typing import NamedTuple

from dropslot.core.addressing import dicom_addresses
from dropslot.core.addressing.address_parts import HOST, NO_PASSWORD, path_of, port_of, written
from dropslot.core.addressing.address_parts import is_loopback as is_loopback
from dropslot.core.concealing import has_password

DEFAULT_PORT = 22
SCHEME = "sftp://"
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<server>[^/]*)")
_URL = re.compile(
    rf"sftp://(?:(?P<user>[^@/:\s{{}}]+)@)?{HOST}/(?P<path>.*)",
    re.DOTALL,
)


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
        place = written(self.host, self.port, DEFAULT_PORT)
        return f"{self.user}@{place}" if self.user else place

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
    if url := dicom_addresses.spelled(scheme, text):
        return url
    if has_password(text):
        raise ValueError(NO_PASSWORD)
    if not server or "{" in server:
        raise ValueError(f"expected {scheme}://PLACE or {scheme}://PLACE/PATH, with fields in the path alone")
    return f"{scheme}://{server}{path_of(text[found.end() :])}".removesuffix("/")


def parse(text: str) -> Address:
    """The address in a URL; fields in its path stay. Raises ValueError in words for the person who wrote it."""
    found = _URL.fullmatch(text)
    if has_password(text):  # or what looks like one, such as an @ in the path where no user is named
        raise ValueError(NO_PASSWORD)
    if not found:
        raise ValueError("expected sftp://USER@HOST/PATH or sftp://USER@HOST:PORT/~/PATH")
    port = port_of(found["port"], DEFAULT_PORT)
    host = found["host"].strip("[]").lower()
    return Address(found["user"] or "", host, port, path_of(found["path"]))
