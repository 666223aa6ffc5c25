"""One open association: where its data sets go, and what its requests are answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from dropslot.dicom.receiving.commands import STORE_REQUEST, Kept, command_in
from dropslot.dicom.receiving.receptions import PROCESSING_FAILURE, Instance, Kind, Reception

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from dropslot.config import Route
    from dropslot.dicom.receiving.receptions import Peer
    from dropslot.dicom.receiving.stream import Diverted, Sink

Commit = Callable[["Incoming", "Event", Kept], int]
_MOST_KEPT = 4


class Incoming:
    """An association that a sender has opened. `route`, `peer` and `reception` are None until it is admitted."""

    def __init__(self, association: Association, stream: Diverted) -> None:
        self.association = association
        self.stream = stream
        self.route: Route | None = None
        self.peer: Peer | None = None
        self.reception: Reception | None = None
        self._data_sets: dict[bytes, Instance | Kept] = {}
        self._count = 0
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether nothing will come any more."""
        return not self.association.is_alive() and not self.association.dul.is_alive()

    def begin(self, context_id: int, encoded: bytes) -> Sink:
        """The place of the next data set (`stream.Begin`)."""
        command = command_in(encoded)
        with self._lock:
            self._count += 1
            token = f"{self._count:08}".encode()
            for old in [key for key in self._data_sets if int(key) <= self._count - _MOST_KEPT]:
                self._data_sets.pop(old).discard()  # of messages that ask for nothing that is done here
        sink: Instance | Kept
        if command.field == STORE_REQUEST and self.reception is not None:
            kind = Kind(command.sop_class, command.sop_uid, self._transfer_syntax(context_id))
            sink = self.reception.begin(kind, token)
        else:
            sink = Kept(token)
        with self._lock:
            self._data_sets[token] = sink
        return sink

    def store(self, event: Event) -> int:
        """Answer a C-STORE: success only if the instance is durable."""
        instance = self._taken(event.request.DataSet)  # type: ignore[union-attr]
        return instance.store() if isinstance(instance, Instance) else PROCESSING_FAILURE

    def kept(self, event: Event) -> Kept | None:
        """The data set of an N-ACTION."""
        kept = self._taken(event.request.ActionInformation)  # type: ignore[union-attr]
        return kept if isinstance(kept, Kept) else None

    def end(self) -> None:
        """Discard what did not come to its end, and leave the folder to those who find its study."""
        self.association.dul.kill_dul()
        self.stream.end()
        with self._lock:
            while self._data_sets:
                self._data_sets.popitem()[1].discard()
        if self.reception is not None:
            self.reception.close()

    def _taken(self, token: object) -> Instance | Kept | None:
        value = token.getvalue() if hasattr(token, "getvalue") else b""
        with self._lock:
            return self._data_sets.pop(value, None)

    def _transfer_syntax(self, context_id: int) -> str:
        for context in self.association.accepted_contexts:
            if context.context_id == context_id:
                return str(context.transfer_syntax[0])
        return ""
