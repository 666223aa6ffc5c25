"""Who may open an association, and for what."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pynetdicom import AllStoragePresentationContexts, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)

from dropslot.core.addressing.addresses import is_loopback
from dropslot.dicom.receiving.config_keys import Allowed, Receive
from dropslot.dicom.receiving.receptions import Peer

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

# result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4)
CALLING_UNKNOWN, CALLED_UNKNOWN, TOO_MANY = (1, 1, 3), (1, 1, 7), (2, 3, 2)
STORAGE = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
_TAKEN = STORAGE | {str(StorageCommitmentPushModel), str(Verification)}


def refusal(receivers: Mapping[str, Receive], called: str, peer: Peer) -> tuple[int, int, int] | None:
    """Why the association is refused; None: it is not. `receivers` by AE title."""
    if (receive := receivers.get(called)) is None:
        return CALLED_UNKNOWN
    if allowed_entry(receive, peer) is None and not (not receive.allow and is_loopback(peer.host)):
        return CALLING_UNKNOWN
    return None


def allowed_entry(receive: Receive, peer: Peer) -> Allowed | None:
    """The entry of `allow` that admits a peer."""
    return next((entry for entry in receive.allow if _is_admitted(entry, peer)), None)


def _is_admitted(entry: Allowed, peer: Peer) -> bool:
    return entry.aet in (None, peer.aet) and (entry.host is None or _is_at(entry.host, peer.host))


def _is_at(host: str, address: str) -> bool:
    seen = _plain_address(address)
    try:
        return seen in ipaddress.ip_network(host)
    except ValueError:
        return seen in _addresses(host)


def _addresses(name: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:  # a name that is not known now admits nobody
        return set()
    return {_plain_address(str(entry[4][0])) for entry in found}


def _plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def accepted(
    proposed: Iterable[PresentationContext], more: Collection[str] = ()
) -> Sequence[PresentationContext]:
    """What is taken of the presentation contexts that a sender proposes: every storage class, also `more`, with every
    transfer syntax, in the sender's order, since nothing is decoded here."""
    syntaxes: dict[str, dict[str, None]] = {}
    for context in proposed:
        abstract = str(context.abstract_syntax)
        if abstract in _TAKEN or abstract in more:
            syntaxes.setdefault(abstract, {}).update(dict.fromkeys(map(str, context.transfer_syntax)))
    return [build_context(abstract, list(transfer)) for abstract, transfer in syntaxes.items() if transfer]
