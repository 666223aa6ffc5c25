"""Has the head stamped, and records the stamp as an event: so it is in the chain itself, in each copy and export."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from dropslot.audit import chain
from dropslot.audit.chain import Head
from dropslot.audit.event_payloads import Timestamped
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.timestamps import recorded
from dropslot.timestamps.section import authority_of
from dropslot.timestamps.stamps import Stamp


class Newest(NamedTuple):
    """The last stamp: the head that it is of, its time, and whether anything has happened since."""

    head: Head
    at: datetime
    has_more: bool


def stamp(config: Config) -> Stamp | None:
    """Have the head stamped now, and record it. None: no authority is configured, or nothing has happened since the
    last stamp. Raises NotProven, BadOption. Takes up to half a minute, outside of any transaction."""
    authority = authority_of(config)
    last, head = newest(), chain.head()
    if authority is None or not unproved(last.head.seq if last else 0).exists():
        return None
    from dropslot.timestamps import (  # HTTP and TLS, which others who import this do not need
        stamp_request,
        trusted,
    )

    made = stamp_request.ask(authority, trusted.roots(config), head)
    data: Timestamped = {
        "head": head._asdict(),
        "at": chain.timestamp(made.at),
        "authority": authority.url,
        "signer": made.signer,
        "response": base64.b64encode(made.response).decode("ascii"),
    }
    with transaction.atomic():
        chain.append([entry(Kind.TIMESTAMPED, "", data)])
    return made


def newest() -> Newest | None:
    """The last stamp of the trail; None: there is none, or somebody has changed its event, which `verify` reports."""
    last = recorded.stamps().order_by("-seq").first()
    try:
        found = recorded.read(last) if last else None
    except ValueError:
        return None
    if last is None or found is None or found.head.seq >= last.seq:
        return None
    return Newest(found.head, found.at, unproved(found.head.seq).exists())


def unproved(after: int) -> QuerySet[Event]:
    """What happened that a stamp of event `after` does not prove; stamps do not count."""
    return Event.objects.filter(seq__gt=after).exclude(kind=Kind.TIMESTAMPED)
