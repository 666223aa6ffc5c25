"""Addresses of DICOM nodes and of DICOMweb services: `dicom://PACS@pacs.example.org:104`,
`dicomweb+https://pacs.example.org/dicom-web`.

Nothing in them is percent-encoded.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dropslot.core.addressing.address_parts import HOST, NO_PASSWORD, is_loopback, path_of, port_of, written
from dropslot.core.concealing import has_password

SCHEME = "dicom"
DEFAULT_PORT = 104
WEB_SCHEMES = {"dicomweb+https": 443, "dicomweb+http": 80}

# An AE title has up to 16 characters of ASCII without a backslash (PS3.5, VR AE). In an address it also lacks those
# that have a meaning there.
_NODE = re.compile(rf"dicom://(?P<aet>[!-~ ]+)@{HOST}(?:/(?P<path>.*))?", re.DOTALL | re.IGNORECASE)
_AET = re.compile(r"(?! )[ -~]{1,16}(?<! )")
_SERVICE = re.compile(
    rf"(?P<scheme>dicomweb\+https?)://(?:(?P<user>[^@/:\s{{}}]+)@)?{HOST}(?:/(?P<path>.*))?",
    re.DOTALL | re.IGNORECASE,
)


class Node(NamedTuple):
    """A DICOM node. `path` is never sent to it: it only keeps apart what is recorded."""

    aet: str
    host: str
    port: int = DEFAULT_PORT
    path: str = ""

    @property
    def server(self) -> str:
        """`AET@host:port`; the port only when it is not 104."""
        return f"{self.aet}@{written(self.host, self.port, DEFAULT_PORT)}"

    @property
    def url(self) -> str:
        """The address in its one spelling."""
        return f"{SCHEME}://{self.server}{self.path}"


class Service(NamedTuple):
    """A DICOMweb service. Its `path` is what STOW-RS calls `{s}`, without a slash at its end."""

    scheme: str
    user: str
    host: str
    port: int
    path: str

    @property
    def is_encrypted(self) -> bool:
        """Whether it is spoken to by HTTPS."""
        return self.scheme == "dicomweb+https"

    @property
    def server(self) -> str:
        """`user@host:port`; the port only when it is not the usual one."""
        place = written(self.host, self.port, WEB_SCHEMES[self.scheme])
        return f"{self.user}@{place}" if self.user else place

    @property
    def url(self) -> str:
        """The address in its one spelling."""
        return f"{self.scheme}://{self.server}{self.path}"


def is_title(aet: str) -> bool:
    """Whether a text may be an AE title."""
    return bool(_AET.fullmatch(aet)) and "\\" not in aet


def parse_node(text: str) -> Node:
    """The node of an address; fields in its path stay. Raises ValueError in words for the person who wrote it."""
    found = _NODE.fullmatch(text)
    if has_password(text):
        raise ValueError(NO_PASSWORD)
    if not found or not is_title(found["aet"]) or not {*found["aet"]}.isdisjoint("@/:{}"):
        raise ValueError(
            "expected dicom://AET@HOST:PORT, with an AE title of up to 16 characters without any of @ / \\ : { }"
        )
    port = port_of(found["port"], DEFAULT_PORT)
    return Node(found["aet"], found["host"].strip("[]").lower(), port, _below(found["path"]))


def parse_service(text: str) -> Service:
    """The service of an address. Raises ValueError in words for the person who wrote it."""
    found = _SERVICE.fullmatch(text)
    if has_password(text):
        raise ValueError(NO_PASSWORD)
    if not found:
        raise ValueError("expected dicomweb+https://HOST/PATH, with the path of the service's root")
    path = _below(found["path"])
    if not {*path}.isdisjoint("{}?# %\\") or not path.isascii() or not path.isprintable():
        raise ValueError("expected a path of letters, digits and the usual signs, without fields or a query")
    scheme, host = found["scheme"].lower(), found["host"].strip("[]").lower()
    if scheme == "dicomweb+http" and not is_loopback(host):
        raise ValueError(
            "expected dicomweb+https://; without encryption only a service of this machine is spoken to"
        )
    port = port_of(found["port"], WEB_SCHEMES[scheme])
    return Service(scheme, found["user"] or "", host, port, path)


def spelled(scheme: str, text: str) -> str | None:
    """An address of one of these schemes in its one spelling; None for another scheme. Raises ValueError."""
    if scheme == SCHEME:
        return parse_node(text).url
    return parse_service(text).url if scheme in WEB_SCHEMES else None


def _below(path: str | None) -> str:
    return path_of(path or "").rstrip("/")
