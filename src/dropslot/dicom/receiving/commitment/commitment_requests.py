"""Requests for storage commitment (N-ACTION): read, and written down to be answered later."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DatabaseError, connections
from django.utils import timezone

from dropslot.core.names import escape
from dropslot.dicom.models import Commitment
from dropslot.dicom.receiving.admission import allowed_entry
from dropslot.dicom.receiving.config_keys import receive_of
from dropslot.dicom.receiving.hidden_folders import is_uid
from dropslot.parsing import process
from dropslot.parsing.given import descriptor_of

if TYPE_CHECKING:
    from pynetdicom.events import Event

    from dropslot.dicom.receiving.associations import Incoming
    from dropslot.dicom.receiving.command_sets import Kept

log = structlog.get_logger()
PARSER = "dropslot.dicom_files.commitment_parser"
_SECONDS = 30.0
_SUCCESS, _FAILURE, _INVALID, _TOO_LARGE, _NO_ACTION = 0x0000, 0x0110, 0x0115, 0x0213, 0x0123
_REQUEST = 1  # the action type


class _NotRight(Exception):
    """It is not a request for commitment as the standard has it."""


def take(incoming: Incoming, event: Event) -> int:
    """Write a request down; returns the status for its sender. Success says only that an answer will follow."""
    kept = incoming.kept(event)
    if event.action_type != _REQUEST or kept is None:
        return _NO_ACTION
    try:
        if kept.is_too_long:
            return _TOO_LARGE
        transaction, instances = _read(kept, str(event.context.transfer_syntax))
        _write(incoming, transaction, instances)
    except _NotRight:
        return _INVALID
    except (DatabaseError, OSError, process.NotParsed) as error:
        log.warning(
            f"A request for storage commitment could not be taken: {error}. Its sender was told, and asks again",
            action="commitment_not_taken",
        )
        return _FAILURE
    finally:
        kept.discard()
        connections.close_all()
    return _SUCCESS


def _read(kept: Kept, syntax: str) -> tuple[str, list[list[str]]]:
    instances: list[list[str]] = []
    while True:
        question = {"syntax": syntax, "from": len(instances)}
        kept.file.flush()
        with ExitStack() as stack:
            try:
                answer = process.parser(PARSER).ask([descriptor_of(_binary(kept), stack)], question, _SECONDS)
            except process.BreaksParser as error:
                raise _NotRight from error
        transaction, count, some = _proved(answer)
        instances += some
        if len(instances) >= count:
            return transaction, instances
        if not some:
            raise _NotRight


def _binary(kept: Kept) -> Any:
    return kept.file


def _proved(answer: Any) -> tuple[str, int, list[list[str]]]:
    """Checks the answer of a process that a request may control."""
    match answer:
        case {"transaction": str(transaction), "count": int(count), "instances": [*instances]} if (
            is_uid(transaction)
            and count > 0
            and all(
                isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
                for pair in instances
            )
            and all(is_uid(one) for pair in instances for one in pair)
        ):
            return transaction, count, instances
    raise _NotRight


def _write(incoming: Incoming, transaction: str, instances: list[list[str]]) -> None:
    route, peer = incoming.route, incoming.peer
    assert route is not None
    assert peer is not None
    receive = receive_of(route)
    entry = allowed_entry(receive, peer) if receive else None
    now = timezone.now()
    values = {
        "host": peer.host,
        "port": (entry.port if entry else None) or 0,
        "instances": instances,
        "asked_at": now,
        "due_at": now,
        "attempts": 0,
        "answered_at": None,
        "error": "",
    }
    Commitment.objects.update_or_create(
        route=route.key, calling_aet=escape(peer.aet)[:16], transaction_uid=transaction, defaults=values
    )
