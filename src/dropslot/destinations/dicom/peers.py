"""Which DICOM node, how it is reached, and the name by which it knows us. Nothing here needs pynetdicom."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple, Protocol

from dropslot.config import current
from dropslot.core.addressing import dicom_addresses
from dropslot.core.addressing.addresses import scheme_of
from dropslot.core.addressing.dicom_addresses import Node
from dropslot.destinations.tls import tls_context

DEFAULT_AET = "DROPSLOT"


class Keys(Protocol):
    """The keys of config.yaml that concern the connection to a node."""

    @property
    def aet(self) -> str: ...

    @property
    def ca(self) -> Path | None: ...

    @property
    def certificate(self) -> Path | None: ...

    @property
    def key(self) -> Path | None: ...


class Peer(NamedTuple):
    """A node, our own AE title there, and the files of TLS; `ca` None: without TLS."""

    node: Node
    aet: str = DEFAULT_AET
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> tuple[ssl.SSLContext, str] | None:
        """The context and the host's name in its certificate; None without TLS. Raises DestinationUnready if one of the
        files is missing or is not what it should be."""
        if self.ca is None:
            return None
        return tls_context(self.ca, self.certificate, self.key), self.node.host


def peer_of(address: str, keys: Keys | None = None) -> Peer:
    """The peer of `dicom://AET@HOST:PORT`, reached with these keys; without them with those of a destination in
    config.yaml at the same node, if there is one. Raises ValueError in words for the person who wrote the address."""
    node = dicom_addresses.parse_node(address)
    keys = keys or _keys_for(node)
    if keys is None:
        return Peer(node)
    return Peer(node, keys.aet, keys.ca, keys.certificate, keys.key)


def _keys_for(node: Node) -> Keys | None:
    rules = (rule for route in current().routes.values() for rule in route.deliver)
    nodes = (rule for rule in rules if scheme_of(rule.to) == dicom_addresses.SCHEME)
    return next((rule for rule in nodes if dicom_addresses.parse_node(rule.to).server == node.server), None)
