"""Arrivals that failed because no folder was known for them."""

from __future__ import annotations

import os

from dropslot.arrivals.delivery.refusal_reason import ENDED
from dropslot.arrivals.models import Arrival
from dropslot.config import Config
from dropslot.core.errors import Refused
from dropslot.core.states import State
from dropslot.lookup import field as lookup
from dropslot.lookup.load_tables import tables


def found_now(config: Config, table: str) -> list[Arrival]:
    """Failed arrivals whose folder was not in this table when they came, and is now; the oldest first."""
    file = tables(config)[table]
    found = []
    for route in config.routes.values():
        fields = list(lookup.for_route(config, route))
        if not any(each.table == str(file) for each in route.lookup):
            continue
        for arrival in Arrival.objects.filter(route=route.key, state=State.FAILED).order_by("id"):
            if arrival.evidence.keys() & ENDED:
                continue
            if any(reason.startswith(lookup.NO_FOLDER) for reason in arrival.reason) and _have(
                fields, arrival
            ):
                found.append(arrival)
    return found


def _have(fields: list[lookup.FolderLookup], arrival: Arrival) -> bool:
    name = os.fsdecode(bytes(arrival.name_bytes))
    try:
        for field in fields:
            field.values(name)
    except Refused:
        return False
    return True
