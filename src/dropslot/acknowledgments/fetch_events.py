"""The events for fetches."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import Entry, timestamp
from dropslot.audit.event_payloads import Accessed, Acknowledged, Fetched
from dropslot.audit.kinds import Kind, entry
from dropslot.core.names import escape


class Access(NamedTuple):
    """Fetches that acknowledge nothing, as one event: the same file, user and reason. `files`: the number of files of
    a packed folder; this is one of them."""

    delivery: Delivery
    user: str
    address: str
    because: str
    files: int = 1


def acknowledged(row: Acknowledgment) -> Entry:
    """The first fetch of a delivery that counts; the row has the line itself, the event its SHA-256."""
    delivery = row.delivery
    data: Acknowledged = {
        **_about(delivery),
        "acknowledgment": row.id,
        "user": row.user,
        "address": row.address,
        "at": timestamp(row.at),
        "evidence": row.evidence,
        "log": escape(row.log),
        "line_sha256": sha256(row.line).hexdigest(),
    }
    return entry(Kind.ACKNOWLEDGED, delivery.arrival_id, data)


def accessed(access: Access, count: int, last: datetime, log: str) -> Entry:
    """The number of fetches that acknowledge nothing, and the time of the last one."""
    data: Accessed = {
        **_about(access.delivery),
        "user": escape(access.user),
        "address": escape(access.address),
        "because": access.because,
        "count": count,
        "files": access.files,
        "last_at": timestamp(last),
        "log": escape(log),
    }
    return entry(Kind.ACCESSED, access.delivery.arrival_id, data)


def _about(delivery: Delivery) -> Fetched:
    return {
        "destination": delivery.place.url,
        "stored_as": delivery.stored_as,
        "version": delivery.version,
        "sha256": delivery.sha256,
    }
