"""What the tests of opening and downloading share."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponseBase

from dropslot.access.visit_trail import trail
from dropslot.arrivals.models import Delivery
from dropslot.audit.models import Event


def body(response: HttpResponseBase) -> bytes:
    """All of a response's body, as a server takes it: whatever is done after the last byte is done."""
    if not response.streaming:
        return bytes(response.content)  # type: ignore[attr-defined]
    try:
        return b"".join(response.streaming_content)  # type: ignore[attr-defined]
    finally:
        response.close()


def delivery_of(item: str) -> Delivery:
    return Delivery.objects.select_related("arrival", "place").get(item=item)


def events(kind: str) -> list[dict[str, Any]]:
    """The data of all events of a kind, those that were just noted included."""
    trail().record()
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]
