"""C-ECHO: whether a node is there, and knows us."""

from __future__ import annotations

from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dropslot.destinations.dicom.association import associated, unready
from dropslot.destinations.dicom.peers import Peer


def echo(peer: Peer) -> None:
    """Raise DestinationUnready if the node does not answer as it should, with the remedy."""
    with associated(peer, [build_context(Verification)]) as association:
        status = association.send_c_echo().get("Status")
    if status != 0x0000:
        said = "does not answer a C-ECHO" if status is None else f"answers a C-ECHO with status {status:04X}"
        raise unready(
            peer, said, f"Enter our AE title {peer.aet} with this machine's address there, and let it ask"
        )
