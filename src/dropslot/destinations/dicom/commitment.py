"""Storage commitment (PS3.4, annex J): the node says that it keeps what it has acknowledged."""

from __future__ import annotations

import errno
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from dropslot.config.servers.listen_addresses import Listen
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.dicom.association import Handlers, associated, unready
from dropslot.destinations.dicom.peers import Peer
from dropslot.destinations.instances import SENT_AGAIN, Instance, first_few, unlisted

# Of one request; the answer names each instance again.
_MOST_INSTANCES = 5000
_ANSWER_SECONDS = 120.0
_TURN_SECONDS = 120.0
_TICK_SECONDS = 0.2
_REQUEST = 1  # the action, and the event of a complete success
_REASONS = {
    0x0110: "processing failure",
    0x0112: "it does not have it",
    0x0119: "it has it with another SOP class",
    0x0122: "it does not store this SOP class",
    0x0131: "this request was made before",
    0x0213: "out of resources",
}


def require_committed(peer: Peer, instances: Sequence[Instance], listen: Listen | None) -> None:
    """Raise DestinationUnready unless the node commits itself to every instance. `listen`: where it may answer, if it
    does that on an association of its own; workers take turns there."""
    reports: queue.SimpleQueue[Dataset] = queue.SimpleQueue()
    handlers: Handlers = [(evt.EVT_N_EVENT_REPORT, _take, [reports])]
    with _listening(peer, listen, handlers) if listen else nullcontext():
        for first in range(0, len(instances), _MOST_INSTANCES):
            _require(peer, instances[first : first + _MOST_INSTANCES], reports, handlers)


def _require(
    peer: Peer, instances: Sequence[Instance], reports: queue.SimpleQueue[Dataset], handlers: Handlers
) -> None:
    transaction = generate_uid()
    with associated(peer, [build_context(StorageCommitmentPushModel)], handlers) as association:
        status, _ = association.send_n_action(
            _request(transaction, instances),
            _REQUEST,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        if (code := status.get("Status")) != 0x0000:
            said = "nothing" if code is None else f"status {code:04X}"
            raise unready(
                peer,
                f"answers a request for storage commitment with {said}",
                "Let it give storage commitment to us, or set `verify: find`",
            )
        report = _report_of(peer, transaction, reports)  # the association stays: it may come on this one
    _require_all(peer, instances, report)


def _request(transaction: str, instances: Sequence[Instance]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = [_reference(instance) for instance in instances]
    return request


def _reference(instance: Instance) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.sop_class
    reference.ReferencedSOPInstanceUID = instance.sop_uid
    return reference


def _take(event: evt.Event, reports: queue.SimpleQueue[Dataset]) -> tuple[int, None]:
    """Keeps a report, and acknowledges it."""
    reports.put(event.event_information)
    return 0x0000, None


def _report_of(peer: Peer, transaction: str, reports: queue.SimpleQueue[Dataset]) -> Dataset:
    end = time.monotonic() + _ANSWER_SECONDS
    while (left := end - time.monotonic()) > 0:
        try:
            report = reports.get(timeout=left)
        except queue.Empty:
            break
        if report.get("TransactionUID") == transaction:  # not a late one of an earlier request
            return report
    raise unready(
        peer,
        f"has not answered a request for storage commitment within {_ANSWER_SECONDS:.0f} s",
        "Enter the address of `commitment_listen` there for our AE title; all of it is retried",
    )


def _require_all(peer: Peer, instances: Sequence[Instance], report: Dataset) -> None:
    failed = [
        f"{each.get('ReferencedSOPInstanceUID', '?')} ({_reason(each)})"
        for each in report.get("FailedSOPSequence", [])
    ]
    kept = {str(each.get("ReferencedSOPInstanceUID", "")) for each in report.get("ReferencedSOPSequence", [])}
    missing = unlisted(instances, kept)
    if not missing and not failed:
        return
    which = first_few(failed or [instance.sop_uid for instance in missing])
    raise unready(
        peer,
        f"gives no storage commitment for {len(failed) or len(missing)} of {len(instances)} instances: {which}",
        SENT_AGAIN,
    )


def _reason(failed: Dataset) -> str:
    code = failed.get("FailureReason", 0)
    return _REASONS.get(code, f"reason {code:04X}")


@contextmanager
def _listening(peer: Peer, listen: Listen, handlers: Handlers) -> Iterator[None]:
    """Answers of this node are taken here meanwhile."""
    server = _bound(peer, listen, handlers)
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def _bound(peer: Peer, listen: Listen, handlers: Handlers) -> ThreadedAssociationServer | None:
    entity = AE(ae_title=peer.aet)
    entity.require_called_aet = True
    entity.require_calling_aet = [peer.node.aet]
    entity.add_supported_context(Verification)
    # The node is the SCP, although it asks for the association.
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    end = time.monotonic() + _TURN_SECONDS
    while True:
        try:
            return entity.start_server((listen.host, listen.port), block=False, evt_handlers=handlers)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise DestinationUnready(
                    f"Cannot listen on {listen} for storage commitment: {error.strerror or error}",
                    next_step="Correct `commitment_listen`, or end what uses it",
                ) from error
        time.sleep(_TICK_SECONDS)  # another worker has it
