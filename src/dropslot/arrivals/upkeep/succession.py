"""To which arrival the entry at a place in done belongs. Somebody may move an original out of done; then a later
arrival of the same name is archived in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from dropslot.arrivals import whereabouts
from dropslot.arrivals.models import Arrival
from dropslot.config import current
from dropslot.core.errors import Refused
from dropslot.core.states import State
from dropslot.core.templates import Template


def successor(arrival: Arrival) -> Arrival | None:
    """The later arrival that was archived at the same place. One that is done and still waits in processing is none: it
    gets another place if this one is taken. By inbox and name, which have an index: the place itself has none."""
    inboxes = {arrival.inbox, *_inboxes_of(os.path.dirname(arrival.archived_as))}
    rows = Arrival.objects.filter(inbox__in=inboxes, name=arrival.name, archived_as=arrival.archived_as)
    later = rows.filter(state=State.DONE, finished_at__gte=arrival.finished_at).exclude(id=arrival.id)
    return next((row for row in later.order_by("-finished_at") if not _waits_in_processing(row)), None)


def _inboxes_of(done: str) -> Iterator[str]:
    """The inbox that belongs to a done folder now; config.yaml may have named another one before."""
    for route in current().routes.values():
        if (values := Template(route.done).match(done)) is not None:
            with suppress(Refused):
                yield Template(route.inbox).fill(values)


def _waits_in_processing(row: Arrival) -> bool:
    folders = whereabouts.folders_of(current(), row)
    name = os.fsdecode(bytes(row.name_bytes))
    return folders is not None and os.path.lexists(whereabouts.held(folders, row.id, row.epoch) / name)
