"""Getting what an archive has: by C-GET over the same association, or by C-MOVE to our receiver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import StoragePresentationContexts, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet as GET,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as MOVE,
)

from dropslot.core.errors import DestinationUnready
from dropslot.destinations.dicom.association import MOST_CONTEXTS, associated
from dropslot.destinations.dicom.peers import Peer
from dropslot.dicom.fetching.study_query import Study
from dropslot.dicom.receiving.admission import STORAGE
from dropslot.dicom.receiving.receptions import PROCESSING_FAILURE, Kind, Reception

if TYPE_CHECKING:
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

_PENDING = (0xFF00, 0xFF01)


def supports_get(peer: Peer) -> bool:
    """Whether the archive takes C-GET."""
    try:
        with associated(peer, [build_context(GET)]):
            return True
    except DestinationUnready:
        return False


def get(peer: Peer, study: Study, reception: Reception) -> list[str]:
    """Have the archive send a study over this association, into `reception`. Returns what went wrong, in sentences.
    Raises DestinationUnready."""
    contexts = _contexts({name for series in study.series for name in series.instances.values()})
    roles = [build_role(name, scp_role=True) for name in {str(one.abstract_syntax) for one in contexts}]
    handlers = [(evt.EVT_C_STORE, _stored, [reception])]
    with associated(peer, [build_context(GET), *contexts], handlers, ext_neg=roles) as association:
        return _result(association.send_c_get(_query(study), GET), "C-GET")


def move(peer: Peer, study: Study, to: str, message_id: int) -> list[str]:
    """Have the archive send a study to the receiver `to`, whose AE title it must know. Returns what went wrong, in
    sentences. Raises DestinationUnready."""
    with associated(peer, [build_context(MOVE)]) as association:
        return _result(association.send_c_move(_query(study), to, MOVE, message_id), "C-MOVE")


def _contexts(classes: set[str]) -> list[PresentationContext]:
    """Each class with as many transfer syntaxes as there is room for, each by itself: so the archive need not
    convert. An archive that does not say its classes (empty names) is offered the usual ones, uncompressed."""
    if not classes <= STORAGE:
        return StoragePresentationContexts[: MOST_CONTEXTS - 1]
    each = max(1, (MOST_CONTEXTS - 1) // len(classes))
    pairs = [(name, str(syntax)) for name in sorted(classes) for syntax in AllTransferSyntaxes[:each]]
    return [build_context(name, syntax) for name, syntax in pairs[: MOST_CONTEXTS - 1]]


def _stored(event: Event, reception: Reception) -> int:
    request: Any = event.request
    kind = Kind(
        str(request.AffectedSOPClassUID),
        str(request.AffectedSOPInstanceUID),
        str(event.context.transfer_syntax),
    )
    instance = reception.begin(kind)
    try:
        instance.write(memoryview(event.encoded_dataset(include_meta=False)))
    except ValueError:
        instance.discard()
        return PROCESSING_FAILURE
    return instance.store()


def _query(study: Study) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = study.uid
    return query


def _result(answers: Iterator[tuple[Dataset, Dataset | None]], what: str) -> list[str]:
    """The final status, and the sub-operations that failed."""
    last = Dataset()
    for status, _ in answers:
        last = status
    code, failed = last.get("Status"), int(last.get("NumberOfFailedSuboperations", 0) or 0)
    faults = [f"{failed:,} sub-operations of the {what} failed"] if failed else []
    if code is None:
        return [*faults, f"the archive did not finish the {what}"]
    said = str(last.get("ErrorComment", ""))[:64]
    why = {0xA801: ": the archive does not know our AE title as a destination"}.get(
        code, f": {said}" if said else ""
    )
    return faults if code == 0 else [*faults, f"the final status of the {what} is {code:04X}{why}"]
