"""`python -m benchmarks.preload COUNT DESTINATION`: that many recorded deliveries, by the product's own models.

Run with DROPSLOT_CONFIG set. Each arrival has 100 items and the three events that an arrival has.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import django

_ITEMS_AN_ARRIVAL = 100
_ARRIVALS_A_TRANSACTION = 100
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def preload(count: int, destination: str) -> None:
    """Make `count` deliveries into `destination`, a hundred arrivals a transaction."""
    from django.db import transaction

    from dropslot.arrivals.models import Arrival, Delivery, Place

    place, _ = Place.objects.get_or_create(url=destination)
    arrivals = count // _ITEMS_AN_ARRIVAL
    for start in range(0, arrivals, _ARRIVALS_A_TRANSACTION):
        numbers = range(start, min(start + _ARRIVALS_A_TRANSACTION, arrivals))
        with transaction.atomic():
            made = Arrival.objects.bulk_create([_arrival(number) for number in numbers])
            Delivery.objects.bulk_create([row for arrival in made for row in _deliveries(arrival, place)])
            _record_events(made)


def _arrival(number: int) -> Any:  # the models can be imported only after setup
    from ulid import ULID

    from dropslot.arrivals.models import Arrival
    from dropslot.core.states import State

    at = _FIRST + timedelta(seconds=number)
    name = f"old{number:06}"
    return Arrival(
        id=str(ULID.from_datetime(at)),
        route="route",
        inbox="/elsewhere/inbox",
        name=name,
        name_bytes=name.encode(),
        is_folder=True,
        state=State.DONE,
        items=_ITEMS_AN_ARRIVAL,
        size_bytes=_ITEMS_AN_ARRIVAL * 4096,
        attempts=1,
        epoch=1,
        received_at=at,
        finished_at=at,
        archived_as=name,
    )


def _deliveries(arrival: Any, place: Any) -> Any:
    from dropslot.arrivals.models import Delivery
    from dropslot.core.states import Outcome

    for item in range(_ITEMS_AN_ARRIVAL):
        path = f"{arrival.name}-{item:02}.pdf"
        yield Delivery(
            arrival=arrival,
            place=place,
            item=path,
            stored_as=path,
            version=1,
            outcome=Outcome.DELIVERED,
            sha256=sha256(path.encode()).hexdigest(),
            size_bytes=4096,
            mtime_ns=0,
        )


def _record_events(arrivals: Any) -> None:
    from dropslot.audit.chain import Entry, append

    kinds = ("claimed", "delivered", "finished")
    append([Entry(kind, arrival.id, {"items": arrival.items}) for arrival in arrivals for kind in kinds])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
    django.setup()
    preload(int(sys.argv[1]), sys.argv[2])
