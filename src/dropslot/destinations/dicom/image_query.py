"""C-FIND at the IMAGE level: whether a node lists what it has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from dropslot.destinations.dicom.association import associated, unready
from dropslot.destinations.dicom.peers import Peer
from dropslot.destinations.instances import (
    SENT_AGAIN,
    Instance,
    missing_for_good,
    not_listed,
    unlisted,
)

_PENDING = (0xFF00, 0xFF01)


def require_listed(peer: Peer, instances: Sequence[Instance]) -> None:
    """Raise DestinationUnready unless the node lists every instance."""
    if missing := missing_for_good(instances, partial(_unlisted, peer)):
        raise unready(peer, not_listed("a C-FIND", missing, instances), SENT_AGAIN)


def _unlisted(peer: Peer, instances: Sequence[Instance]) -> list[Instance]:
    series = sorted({(instance.study_uid, instance.series_uid) for instance in instances})
    there: set[str] = set()
    with associated(peer, [build_context(StudyRootQueryRetrieveInformationModelFind)]) as association:
        for study_uid, series_uid in series:
            there |= _listed(peer, association, study_uid, series_uid)
    return unlisted(instances, there)


def _listed(peer: Peer, association: Association, study_uid: str, series_uid: str) -> set[str]:
    """The SOPInstanceUIDs that the node has of a series."""
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = study_uid, series_uid, ""
    there: set[str] = set()
    if not association.is_established:
        raise unready(peer, "ended the association before it answered a C-FIND")
    for answer, found in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
        status = answer.get("Status")
        if status in _PENDING:
            there.add(str(found.SOPInstanceUID) if found and "SOPInstanceUID" in found else "")
        elif status != 0x0000:
            said = (
                "does not answer a C-FIND" if status is None else f"answers a C-FIND with status {status:04X}"
            )
            raise unready(
                peer,
                said,
                "Let it answer our queries, or set `verify: acknowledged`",
            )
    return there
