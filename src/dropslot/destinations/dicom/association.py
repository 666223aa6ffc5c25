"""Associations that we ask for: opened, explained when they are not to be had, and always ended."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.destinations.dicom.peers import Peer

# A data set goes out as it is in its file: pynetdicom neither decodes nor encodes it.
_config.STORE_SEND_CHUNKED_DATASET = True

# An association has no more presentation contexts: their ids are odd numbers up to 255.
MOST_CONTEXTS = 128
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
_PDU_BYTES = 131072  # that we take
_SAID: dict[tuple[int | None, int | None], str] = {
    (
        1,
        3,
    ): "it does not know our AE title. Enter {ours} with this machine's address there, or set `aet` to the title"
    " that it knows",
    (1, 7): "it does not have the AE title {theirs}. Correct the title in the address",
    (3, 1): "it is busy now (temporary congestion)",
    (3, 2): "it has as many connections as it allows (local limit exceeded)",
}

Handlers = list[Any]


@contextmanager
def associated(
    peer: Peer, contexts: Sequence[PresentationContext], handlers: Handlers | None = None, **more: Any
) -> Iterator[Association]:
    """An association with a peer, for these presentation contexts (at most MOST_CONTEXTS). It is released at the end,
    and aborted after an error. `more` is for `AE.associate`. Raises DestinationUnready."""
    association = _asked(peer, contexts, handlers or [], more)
    if not association.is_established:
        raise _why_not(peer, association)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def _asked(
    peer: Peer, contexts: Sequence[PresentationContext], handlers: Handlers, more: dict[str, Any]
) -> Association:
    entity = AE(ae_title=peer.aet)
    entity.connection_timeout = CONNECT_SECONDS
    entity.acse_timeout = entity.network_timeout = entity.dimse_timeout = ANSWER_SECONDS
    return entity.associate(
        peer.node.host,
        peer.node.port,
        contexts=list(contexts),
        ae_title=peer.node.aet,
        max_pdu=_PDU_BYTES,
        tls_args=peer.tls(),
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once), *handlers],
        **more,
    )


def _send_at_once(event: evt.Event) -> None:
    # Otherwise each small PDU waits for the answer to the one before: 21 instances a second in place of 600.
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why_not(peer: Peer, association: Association) -> DestinationUnready:
    said = association.acceptor.primitive
    if association.is_rejected and said is not None:
        known = _SAID.get(
            (said.result_source, said.diagnostic), escape(f"{said.reason_str} ({said.source_str})")
        )
        return unready(peer, f"refuses the association: {known.format(ours=peer.aet, theirs=peer.node.aet)}")
    if association.rejected_contexts:
        return unready(peer, "accepts none of the presentation contexts that were proposed")
    return unready(peer, _fault_of_connection(peer))


def _fault_of_connection(peer: Peer) -> str:
    """Why there is no answer: pynetdicom does not tell, so the connection is tried once more."""
    node, tls = peer.node, peer.tls()
    try:
        with socket.create_connection((node.host, node.port), timeout=CONNECT_SECONDS) as plain:
            if tls is not None:
                with tls[0].wrap_socket(plain, server_hostname=tls[1]):
                    pass
    except OSError as error:  # ssl.SSLError is one
        how = "cannot be connected to by TLS" if tls else "cannot be connected to"
        return f"{how}: {error.strerror or error}"
    more = "" if tls else "; does it want TLS? Then set `ca`"
    return f"takes the connection and ends it without an answer{more}"


def unready(peer: Peer, what: str, next_step: str = "It is retried") -> DestinationUnready:
    """The error of a node that cannot take anything now."""
    return DestinationUnready(f"The DICOM node {escape(peer.node.url)} {what}", next_step=next_step)
