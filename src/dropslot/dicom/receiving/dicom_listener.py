"""The receivers of one address: pynetdicom's server, with handlers that admit."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from socketserver import BaseServer
from typing import TYPE_CHECKING, Any

import structlog
from pynetdicom import AE, VerificationPresentationContexts, evt
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AssociationServer

from dropslot.core.names import escape
from dropslot.destinations.dicom.association import leave_answers
from dropslot.dicom.receiving import admission
from dropslot.dicom.receiving.associations import Incoming
from dropslot.dicom.receiving.commitment import commitment_requests
from dropslot.dicom.receiving.receptions import PROCESSING_FAILURE, Peer, Reception
from dropslot.dicom.receiving.refused_associations import Refusals
from dropslot.dicom.receiving.relay import Inner, Relay

if TYPE_CHECKING:
    from pathlib import Path

    from pynetdicom.events import Event

    from dropslot.config import Route
    from dropslot.config.servers.listen_addresses import Listen
    from dropslot.dicom.receiving.config_keys import Receive

log = structlog.get_logger()
_REQUEST_SECONDS = 15.0  # from the connection to the request for an association
_UNASKED = 20  # connections above `maximum`, which are there to be refused in words
_LEAVE_SECONDS = 2.0
_PDU_BYTES = 256 * 1024


class _Server(AssociationServer):
    """Puts a relay before each connection."""

    listener: Listener
    idle_seconds: float
    request_queue_size = 64

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = self.socket.accept()  # type: ignore[union-attr]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Relay(self._wrapped(connection), self.idle_seconds).inner, address

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        if self.ssl_context is None:
            return connection
        # The handshake must not hold up others: it happens in the association's own thread.
        return self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as socketserver's
        if not self.listener.has_room:
            request.relay.end()
        return self.listener.has_room

    def shutdown(self) -> None:
        # Not pynetdicom's own, which wants to strike the server from a list of servers that the AE has started.
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as socketserver's
        log.warning(
            "A connection to the DICOM receiver failed", action="dicom_connection_failed", exc_info=True
        )


class Listener:
    """One address, at which the receivers of one or more routes listen."""

    def __init__(self, listen: Listen, routes: Sequence[tuple[Route, Receive]], refusals: Refusals) -> None:
        """Bind it. Raises OSError."""
        self._refusals = refusals
        self._routes = {receive.aet: route for route, receive in routes}
        self._receivers = {receive.aet: receive for _, receive in routes}
        self._open: list[Incoming] = []
        self._lock = threading.Lock()
        self._server = self._made(listen, routes[0][1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)

    @property
    def has_room(self) -> bool:
        """Whether another connection may be there at all."""
        return len(self._open) < self._maximum + _UNASKED

    def start(self) -> None:
        """Take connections, in threads."""
        self._thread.start()

    def close(self) -> None:
        """Give the address free; connections were not taken yet."""
        self._server.server_close()

    def stop(self) -> None:
        """Take no more connections, and end those that are there."""
        self._server.shutdown()
        self._thread.join()
        for incoming in self._open:
            incoming.relay.end()
            incoming.association.dul.kill_dul()
        for incoming in self._open:
            incoming.association.dul.join(_LEAVE_SECONDS)
            incoming.association.join(_LEAVE_SECONDS)
            incoming.relay.join(_LEAVE_SECONDS)

    def ended(self) -> list[Incoming]:
        """The associations that have ended since the last call."""
        with self._lock:
            over = [incoming for incoming in self._open if incoming.is_over]
            self._open = [incoming for incoming in self._open if incoming not in over]
        for incoming in over:
            incoming.end()
        return over

    def open(self) -> list[Incoming]:
        """The associations that are open now."""
        with self._lock:
            return list(self._open)

    @property
    def _maximum(self) -> int:
        return max(receive.maximum for receive in self._receivers.values())

    def _made(self, listen: Listen, receive: Receive) -> _Server:
        entity = AE(receive.aet)
        entity.maximum_associations = self._maximum + _UNASKED  # counted here, by receiver
        entity.maximum_pdu_size = _PDU_BYTES
        entity.acse_timeout = _REQUEST_SECONDS
        entity.network_timeout = None  # the relay ends what is idle
        server = _Server(
            entity,
            (listen.host, listen.port),
            receive.aet,
            VerificationPresentationContexts,
            tls_context(receive),
            self._handlers(),
        )
        server.listener, server.idle_seconds = self, receive.idle.total_seconds()
        return server

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._connected),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_N_ACTION, self._act),
        ]

    def _connected(self, event: Event) -> None:
        inner = event.assoc.dul.socket.socket  # type: ignore[union-attr]
        assert isinstance(inner, Inner)
        incoming = Incoming(event.assoc, inner.relay)
        inner.relay.relay(incoming.begin)  # first: what has not begun would be taken for over
        with self._lock:
            self._open.append(incoming)

    def _requested(self, event: Event) -> None:
        association, request = event.assoc, event.assoc.requestor.primitive
        if not isinstance(request, A_ASSOCIATE):  # it was aborted before it began
            association.is_aborted = True
            return
        peer = Peer(request.calling_ae_title.strip(), association.requestor.address or "")
        called = request.called_ae_title.strip()
        if refusal := admission.refusal(self._receivers, called, peer) or self._too_many(called):
            self._refusals.note(peer.aet, peer.host, called, _why(called, refusal))
            association.acse.send_reject(*refusal)
            association.kill()  # returns when the answer was sent
            return
        leave_answers(association)  # to reports of storage commitment
        incoming = self._of(event)
        incoming.route, incoming.peer = self._routes[called], peer
        incoming.reception = Reception(_inbox(self._routes[called]), peer)
        association.acceptor.ae_title = called
        association.acceptor.supported_contexts = list(
            admission.accepted(
                request.presentation_context_definition_list, self._receivers[called].storage_classes
            )
        )

    def _too_many(self, called: str) -> tuple[int, int, int] | None:
        with self._lock:
            there = sum(incoming.route is self._routes[called] for incoming in self._open)
        return admission.TOO_MANY if there >= self._receivers[called].maximum else None

    def _act(self, event: Event) -> tuple[int, None]:
        try:
            return commitment_requests.take(self._of(event), event), None
        except Exception:
            log.exception("A request for commitment could not be taken", action="commitment_not_taken")
            return PROCESSING_FAILURE, None

    def _of(self, event: Event) -> Incoming:
        with self._lock:
            return next(incoming for incoming in self._open if incoming.association is event.assoc)


def _inbox(route: Route) -> Path:
    from dropslot.config.route_folders import folder_sets

    return folder_sets(route)[0].inbox


def tls_context(receive: Receive) -> ssl.SSLContext | None:
    """What a receiver shows and asks for; None: it has no TLS. Raises OSError and SSLError."""
    if receive.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(receive.certificate, receive.key)
    if receive.ca is not None:
        context.load_verify_locations(receive.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _why(called: str, refusal: tuple[int, int, int]) -> str:
    return {
        admission.CALLED_UNKNOWN: f"no receiver here is called {escape(called)}",
        admission.CALLING_UNKNOWN: "`allow` does not name it",
        admission.TOO_MANY: "as many associations as `maximum` allows are open",
    }[refusal]
