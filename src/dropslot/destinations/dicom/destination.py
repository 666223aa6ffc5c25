"""A DICOM node as a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dropslot.config.servers.listen_addresses import Listen
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.destinations.base import ACKNOWLEDGED, COMMITTED, LISTS_INSTANCES, Target
from dropslot.destinations.dicom.peers import Peer
from dropslot.destinations.instances import Instance, InstanceReceiver, Outgoing

_PROOFS = {
    "acknowledged": frozenset({ACKNOWLEDGED}),
    "find": frozenset({ACKNOWLEDGED, LISTS_INSTANCES}),
    "commitment": frozenset({ACKNOWLEDGED, COMMITTED}),
}


# PS3.5, A.5, demands a byte more at the end of such a deflated data set; PS3.8 allows no odd fragment.
_ODD = (
    "{name} cannot be sent by C-STORE: its data set has an odd number of bytes, and must be padded. Send it by"
    " DICOMweb, or deliver it to a folder by a route"
)


class Dicom(InstanceReceiver):
    """One node. pynetdicom is imported when something is sent: importing it takes a quarter of a second."""

    def __init__(
        self,
        peer: Peer,
        verify: str = "acknowledged",
        listen: Listen | None = None,
        spool: Path | None = None,
    ) -> None:
        super().__init__(spool)
        self.peer, self.verify, self.listen = peer, verify, listen
        self.proofs = _PROOFS[verify]

    def check(self, target: Target) -> None:  # noqa: ARG002
        from dropslot.destinations.dicom.echo import echo

        echo(self.peer)

    def admit(self, target: Target, instances: Mapping[str, Instance]) -> None:  # noqa: ARG002
        from dropslot.destinations.dicom import c_store

        if odd := [name for name, instance in instances.items() if instance.is_odd]:
            raise Refused([_ODD.format(name=escape(name)) for name in odd])
        c_store.negotiate(self.peer, list(instances.values()))

    def send_instances(self, target: Target, items: Sequence[Outgoing]) -> Mapping[str, int]:  # noqa: ARG002
        from dropslot.destinations.dicom import c_store, commitment, image_query

        said = c_store.store(self.peer, items)
        instances = [item.instance for item in items]
        if self.verify == "find":
            image_query.require_listed(self.peer, instances)
        elif self.verify == "commitment":
            commitment.require_committed(self.peer, instances, self.listen)
        return said
