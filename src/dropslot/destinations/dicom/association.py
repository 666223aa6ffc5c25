"""Associations that we ask for: opened, explained when they are not to be had, and always ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from dropslot.core.errors import DestinationUnready
from dropslot.core.names import escape
from dropslot.destinations.dicom.peers import Peer
from dropslot.destinations.instances import first_few

# A data set goes out as it is in its file: pynetdicom neither decodes nor encodes it. Its options are public, and
# documented under this name.
_config.STORE_SEND_CHUNKED_DATASET = True

# An association has no more presentation contexts: their ids are odd numbers up to 255.
MOST_CONTEXTS = 128
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
_PDU_BYTES = 131072  # that we take
# By source and diagnostic of a rejection (PS3.8, 9.3.4): what it says, and what to do.
_SAID: dict[tuple[int | None, int | None], tuple[str, str]] = {
    (1, 3): (
        "it does not know our AE title {ours}",
        "Enter {ours} with this machine's address there, or set `aet` to the title that it knows",
    ),
    (1, 7): ("it does not have the AE title {theirs}", "Correct the title in the address of `to`"),
    (3, 1): ("it is busy now (temporary congestion)", "It is retried"),
    (3, 2): ("it has as many connections as it allows (local limit exceeded)", "It is retried"),
}

Handlers = list[Any]


@contextmanager
def associated(
    peer: Peer, contexts: Sequence[PresentationContext], handlers: Handlers | None = None, **more: Any
) -> Iterator[Association]:
    """An association with a peer, for these presentation contexts (at most MOST_CONTEXTS). It is released at the end,
    and aborted after an error. `more` is for `AE.associate`. Raises DestinationUnready."""
    rejections: list[A_ASSOCIATE_RJ] = []
    keeping = (evt.EVT_PDU_RECV, _keep_rejection, [rejections])
    association = _asked(peer, contexts, [*_QUICK, keeping, *(handlers or [])], more)
    if not association.is_established:
        raise _why_not(peer, association, rejections)
    leave_answers(association)
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
        evt_handlers=handlers,
        **more,
    )


def leave_answers(association: Association) -> None:
    """Let pynetdicom's own thread take requests alone. On a busy machine it goes on working for a moment while we send
    a request, and would throw the answer away, for which we then wait two minutes."""
    take = association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        _, message = association.dimse.peek_msg()
        is_request = message is not None and message.is_valid_request
        if threading.current_thread() is association and not is_request:
            return None, None
        return take(block)

    association.dimse.get_msg = get_msg  # type: ignore[method-assign]


def _send_at_once(event: evt.Event) -> None:
    # Otherwise each small PDU waits for the answer to the one before: 21 instances a second in place of 600.
    _set(event, socket.TCP_NODELAY)


def _acknowledge_at_once(event: evt.Event) -> None:
    # A node without TCP_NODELAY, as Orthanc and dcmtk are by default, sends the end of its answer only when it knows
    # that we have the beginning. Linux forgets this option, so it is set again after each PDU.
    _set(event, socket.TCP_QUICKACK)


def _set(event: evt.Event, option: int) -> None:
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        with suppress(OSError):  # the connection is gone: pynetdicom tells
            connection.socket.setsockopt(socket.IPPROTO_TCP, option, 1)


_QUICK = [
    (evt.EVT_CONN_OPEN, _send_at_once),
    (evt.EVT_DATA_SENT, _acknowledge_at_once),
    (evt.EVT_DATA_RECV, _acknowledge_at_once),
]


def _keep_rejection(event: evt.Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    # pynetdicom itself forgets a rejection if the node closes the connection at once, as Orthanc does.
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _why_not(
    peer: Peer, association: Association, rejections: Sequence[A_ASSOCIATE_RJ]
) -> DestinationUnready:
    if rejections:
        said = rejections[0]
        other = (f"source {said.source}, reason {said.reason_diagnostic}", "Ask who runs the node")
        why, remedy = _SAID.get((said.source, said.reason_diagnostic), other)
        titles = {"ours": peer.aet, "theirs": peer.node.aet}
        return unready(peer, f"refuses the association: {why.format_map(titles)}", remedy.format_map(titles))
    if association.rejected_contexts:
        return not_accepted(peer, association)
    if fault := _fault_of_connection(peer):
        return unready(peer, fault)
    more = "" if peer.ca else "; if it wants TLS, set `ca`"
    return unready(peer, f"takes the connection and ends it without an answer{more}")


def _fault_of_connection(peer: Peer) -> str:
    """Why nothing can be connected to; empty if something can. pynetdicom does not tell, so it is tried once more."""
    node, tls = peer.node, peer.tls()
    try:
        with socket.create_connection((node.host, node.port), timeout=CONNECT_SECONDS) as plain:
            if tls is not None:
                with tls[0].wrap_socket(plain, server_hostname=tls[1]):
                    pass
    except OSError as error:  # ssl.SSLError is one
        how = "cannot be connected to by TLS" if tls else "cannot be connected to"
        return f"{how}: {error.strerror or error}"
    return ""


def not_accepted(peer: Peer, association: Association) -> DestinationUnready:
    """The error of a node that has not taken all of the proposed presentation contexts."""
    # As they were proposed: in a rejected one a node may write another transfer syntax.
    taken = {context.context_id for context in association.accepted_contexts}
    named = [
        named_context(str(each.abstract_syntax), str(each.transfer_syntax[0]))
        for each in association.requestor.requested_contexts
        if each.context_id not in taken
    ]
    return unready(
        peer,
        f"does not accept {first_few(named)}",
        "Let it accept this transfer syntax for this SOP class, or deliver such files elsewhere",
    )


def named_context(abstract_syntax: str, transfer_syntax: str) -> str:
    """A presentation context in words: `CT Image Storage in JPEG 2000 …`."""
    return f"{UID(abstract_syntax).name} in {UID(transfer_syntax).name}"


def unready(peer: Peer, what: str, next_step: str = "It is retried") -> DestinationUnready:
    """The error of a node that cannot take anything now."""
    return DestinationUnready(f"The DICOM node {escape(peer.node.url)} {what}", next_step=next_step)
