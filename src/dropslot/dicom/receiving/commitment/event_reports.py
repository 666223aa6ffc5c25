"""Answers to requests for storage commitment (N-EVENT-REPORT, PS3.4 J.3.3): an instance is committed when an arrival
of the route that holds it is done. What is not there when `commitment` is over is reported as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, connections
from django.db.models import Q
from django.utils import timezone
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dropslot.core.addressing.dicom_addresses import Node
from dropslot.core.errors import DropslotError
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.destinations.dicom.association import associated
from dropslot.destinations.dicom.peers import Peer, peer_of
from dropslot.dicom.deidentifying.delivered_uids import delivered_uid
from dropslot.dicom.models import Commitment, Instance
from dropslot.dicom.receiving.config_keys import receive_of

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from dropslot.config import Config
    from dropslot.dicom.receiving.associations import Incoming
    from dropslot.running.stopping import Signal

log = structlog.get_logger()
_NOT_THERE, _OTHER_CLASS = 0x0112, 0x0119
_ALL_COMMITTED, _SOME_FAILED = 1, 2
_LOOK_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0
_GIVE_UP = timedelta(days=7)
Open = Callable[[], Iterable["Incoming"]]


def answer_until(config: Config, open_now: Open, stop: Signal) -> None:
    """Answer requests as their instances are done, until `stop`."""
    while not stop.wait(_LOOK_SECONDS):
        try:
            for row in _due():
                _look(config, row, open_now)
        except DatabaseError as error:
            log.warning(
                "The database does not answer; requests for commitment wait",
                action="database_unavailable",
                error=str(error),
            )
            connections.close_all()


def _due() -> Iterable[Commitment]:
    """Those that it is time for; also those that are due later than any can be: the clock was set back since then."""
    now = timezone.now()
    set_back = Q(due_at__gt=now + timedelta(seconds=2 * _LONGEST_PAUSE))
    return Commitment.objects.filter(Q(due_at__lte=now) | set_back).order_by("due_at")[:100]


def _look(config: Config, row: Commitment, open_now: Open) -> None:
    route = config.routes.get(row.route)
    receive = receive_of(route) if route else None
    if route is None or receive is None:  # the route receives no more: nobody could answer
        Commitment.objects.filter(pk=row.pk).update(due_at=None, error="The route has no receiver any more")
        return
    failed = _failures(row, delivered_uid(route))
    now = timezone.now()
    if row.asked_at > now:  # by a clock that was set back since then
        Commitment.objects.filter(pk=row.pk).update(asked_at=now)
        row.asked_at = now
    if failed and now < row.asked_at + receive.commitment:
        Commitment.objects.filter(pk=row.pk).update(due_at=now + timedelta(seconds=_LOOK_SECONDS))
        return
    try:
        _send(row, receive.aet, _report(row, failed), _SOME_FAILED if failed else _ALL_COMMITTED, open_now)
    except (DropslotError, ValueError, RuntimeError) as error:
        _put_off(row, str(error))
    else:
        Commitment.objects.filter(pk=row.pk).update(due_at=None, answered_at=now, error="")


def _failures(row: Commitment, uid_of: Callable[[str], str]) -> dict[str, int]:
    """The reason for each instance that is not done on this route, which may deliver it under another UID."""
    found: dict[str, str] = {}
    for some in chunks((uid_of(uid) for _, uid in row.instances), CHUNK):
        rows = Instance.objects.filter(sop_uid__in=some, series__route=row.route)
        found.update(rows.values_list("sop_uid", "sop_class"))
    return {
        uid: _NOT_THERE if uid_of(uid) not in found else _OTHER_CLASS
        for sop_class, uid in row.instances
        if found.get(uid_of(uid)) not in (sop_class, "")
    }


def _report(row: Commitment, failed: dict[str, int]) -> Dataset:
    report = Dataset()
    report.TransactionUID = row.transaction_uid
    good = [_reference(name, uid) for name, uid in row.instances if uid not in failed]
    bad = [_reference(name, uid, failed[uid]) for name, uid in row.instances if uid in failed]
    if good:
        report.ReferencedSOPSequence = Sequence(good)
    if bad:
        report.FailedSOPSequence = Sequence(bad)
    return report


def _reference(sop_class: str, uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _send(row: Commitment, aet: str, report: Dataset, event_type: int, open_now: Open) -> None:
    """On an association that its sender has open, else on one of ours. Raises DropslotError and what pynetdicom
    raises."""
    for incoming in open_now():
        is_its = incoming.peer is not None and incoming.peer.aet == row.calling_aet
        contexts = incoming.association.accepted_contexts if is_its else ()
        if any(one.abstract_syntax == StorageCommitmentPushModel for one in contexts):
            try:
                _said(incoming.association, report, event_type)
            except (DropslotError, RuntimeError, ValueError):
                break  # it was just released
            return
    if not row.port:
        raise DropslotError(
            f"It is not known where {row.calling_aet} listens",
            next_step="Give its entry in `allow` a port",
        )
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    context = build_context(StorageCommitmentPushModel)
    with associated(_peer(row, aet), [context], ext_neg=[role]) as association:
        _said(association, report, event_type)


def _peer(row: Commitment, aet: str) -> Peer:
    node = Node(row.calling_aet, row.host, row.port)
    try:
        return peer_of(node.url)._replace(aet=aet)
    except ValueError:  # a title that no address can hold
        return Peer(node, aet)


def _said(association: Association, report: Dataset, event_type: int) -> None:
    status, _ = association.send_n_event_report(
        report, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if (code := status.get("Status")) != 0:
        said = "no answer" if code is None else f"the status {code:04X}"
        raise DropslotError(f"The report of a storage commitment got {said}")


def _put_off(row: Commitment, error: str) -> None:
    now, attempts = timezone.now(), row.attempts + 1
    pause = min(_FIRST_PAUSE * 2 ** min(attempts, 16), _LONGEST_PAUSE)
    is_over = now > row.asked_at + _GIVE_UP
    due = None if is_over else now + timedelta(seconds=pause)
    Commitment.objects.filter(pk=row.pk).update(due_at=due, attempts=attempts, error=error[:2000])
    then = "It is not tried again" if is_over else f"It is retried in {pause:.0f} s"
    log.warning(
        f"{row.calling_aet} could not be told about its storage commitment: {error} {then}",
        action="commitment_not_told",
        route=row.route,
    )
