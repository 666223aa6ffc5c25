"""One open association: where its data sets go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dropslot.dicom.receiving.command_sets import Command, Kept
from dropslot.dicom.receiving.receptions import Kind, Peer, Reception

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from dropslot.config import Route
    from dropslot.dicom.receiving.relay import Relay, Sink

_MOST_KEPT = 4


class Incoming:
    """An association that a sender has opened. `route`, `peer` and `reception` are None until it is admitted."""

    def __init__(self, association: Association, relay: Relay) -> None:
        self.association = association
        self.relay = relay
        self.route: Route | None = None
        self.peer: Peer | None = None
        self.reception: Reception | None = None
        self._kept: dict[bytes, Kept] = {}
        self._count = 0
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether nothing will come any more."""
        threads = (self.association, self.association.dul, self.relay)
        return not any(thread.is_alive() for thread in threads)

    def begin(self, context_id: int, command: Command) -> Sink:
        """The place of the next data set (`relay.Begin`)."""
        if command.is_store and self.reception is not None:
            kind = Kind(command.sop_class, command.sop_uid, self._transfer_syntax(context_id), command.move)
            return self.reception.begin(kind)
        with self._lock:
            self._count += 1
            token = f"{self._count:08}".encode()
            for old in [key for key in self._kept if int(key) <= self._count - _MOST_KEPT]:
                self._kept.pop(old).discard()  # of messages that ask for nothing that is done here
            self._kept[token] = kept = Kept(token)
        return kept

    def kept(self, event: Event) -> Kept | None:
        """The data set of an N-ACTION."""
        token = event.request.ActionInformation  # type: ignore[union-attr]
        value = token.getvalue() if token is not None else b""
        with self._lock:
            return self._kept.pop(value, None)

    def end(self) -> None:
        """Discard what nobody asked for, and leave the folder to those who find its study."""
        self.association.dul.kill_dul()
        self.relay.end()
        with self._lock:
            while self._kept:
                self._kept.popitem()[1].discard()
        if self.reception is not None:
            self.reception.close()

    def _transfer_syntax(self, context_id: int) -> str:
        """Of an accepted presentation context; empty if it is not one."""
        for context in self.association.accepted_contexts:
            if context.context_id == context_id:
                return str(context.transfer_syntax[0])
        return ""
