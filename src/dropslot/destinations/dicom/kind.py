"""DICOM nodes, as a kind of destination."""

from __future__ import annotations

from importlib.util import find_spec

from dropslot.config import Deliver
from dropslot.config.servers.listen_addresses import Listen
from dropslot.core.context import once
from dropslot.core.errors import BadOption
from dropslot.destinations.base import Examined, Kind, Target
from dropslot.destinations.dicom.destination import Dicom
from dropslot.destinations.dicom.peers import Peer, peer_of


class DicomKind(Kind):
    """Addresses such as `dicom://PACS@pacs.example.org:104`."""

    def for_rule(self, rule: Deliver) -> Dicom:
        if find_spec("pynetdicom") is None:
            raise BadOption(
                f"deliver to {rule.to}: it needs the package pynetdicom, which is not installed",
                next_step="Install it: pip install 'dropslot[dicom]'",
            )
        return _made(peer_of(rule.to, rule), rule.verify or "acknowledged", rule.commitment_listen)

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:  # noqa: ARG002
        destination = self.for_rule(rule)
        destination.check(Target.fixed_part(rule))
        node = destination.peer.node
        how = "by TLS" if destination.peer.ca else "without encryption"
        return Examined(
            "ok", f"{node.aet} at {node.host}:{node.port} answers our C-ECHO as {rule.aet}, {how}"
        )


@once
def _made(peer: Peer, verify: str, listen: Listen | None) -> Dicom:
    return Dicom(peer._replace(node=peer.node._replace(path="")), verify, listen)
