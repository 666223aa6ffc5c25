"""The stamps that the trail has, as they were recorded."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import NamedTuple

from django.db.models import QuerySet

from dropslot.audit.chain import Head
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event


class Recorded(NamedTuple):
    """What an event says of its stamp; only the response is proof."""

    head: Head
    at: datetime
    response: bytes


def stamps() -> QuerySet[Event]:
    """Their events. With the arrival, which they do not have, the index finds them."""
    return Event.objects.filter(arrival="", kind=Kind.TIMESTAMPED)


def read(event: Event) -> Recorded:
    """One of them. Raises ValueError if it was tampered with."""
    try:
        data = json.loads(event.data)
        head = Head(int(data["head"]["seq"]), str(data["head"]["hash"]))
        return Recorded(
            head,
            datetime.fromisoformat(data["at"]).astimezone(UTC),
            base64.b64decode(data["response"], validate=True),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a time stamp: {error!r}") from error
