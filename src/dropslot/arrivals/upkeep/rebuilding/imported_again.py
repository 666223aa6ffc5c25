"""What importers had recorded of arrivals that were rebuilt: their files are read again, where they were delivered."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from django.db import transaction

from dropslot.arrivals import registry
from dropslot.arrivals.delivery.staged_checks import helpers
from dropslot.arrivals.importers import Bytes, Importer
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.chain import append
from dropslot.config import Config
from dropslot.contents.base import ListedItem, Source
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.destinations import for_url, open_here, read
from dropslot.files.listing import Listing
from dropslot.files.regular_files import open_at_source

_DONE = "imported"  # in the evidence of a rebuilt arrival, written with what its importer recorded
Problem = Callable[[str], None]


class NotReadable(DropslotError):
    """No file of an item can be read any more."""

    code = "not-readable"


def import_again(config: Config, problem: Problem) -> int:
    """Import each rebuilt arrival of a route with an importer, in the order in which they were finished. Returns how
    many; one that cannot be read is named, and left for the next run. Raises DatabaseError."""
    count = 0
    with helpers():
        for route in config.routes.values():
            if importer := registry.importer(route):
                count += sum(_imported(importer, arrival, problem) for arrival in _wanted(route.key))
    return count


def _wanted(route: str) -> Iterator[Arrival]:
    rows = Arrival.objects.filter(route=route, state=State.DONE, evidence__has_key="rebuilt")
    rows = rows.exclude(evidence__has_key=_DONE).order_by("finished_at", "id")
    for arrival in list(rows.values_list("id", flat=True)):
        yield Arrival.objects.get(id=arrival)


def _imported(importer: Importer, arrival: Arrival, problem: Problem) -> bool:
    by_item = defaultdict(list)
    for row in arrival.deliveries.select_related("place").order_by("id").iterator():
        by_item[row.item].append(row)
    sizes: dict[str, int] = {}  # a destination that gives nothing back tells none
    items = [
        ListedItem(item, rows[0].size_bytes, partial(_measured, arrival, rows, sizes))
        for item, rows in by_item.items()
    ]
    try:
        found = importer.look(arrival, items, ())
    except (DropslotError, OSError) as error:
        problem(f"What {escape(arrival.name)} ({arrival.id}) holds could not be imported again: {error}")
        return False
    delivered = {item: Bytes(rows[0].sha256, sizes[item]) for item, rows in by_item.items()}
    arrival.evidence[_DONE] = True
    with transaction.atomic():
        append(found.record(delivered))
        Arrival.objects.filter(id=arrival.id).update(evidence=arrival.evidence)
    return True


def _measured(arrival: Arrival, rows: Sequence[Delivery], sizes: dict[str, int]) -> BinaryIO:
    found = _open(arrival, rows)
    sizes[rows[0].item] = os.fstat(found.fileno()).st_size
    return found


def _open(arrival: Arrival, rows: Sequence[Delivery]) -> BinaryIO:
    """The bytes of one item: as they were delivered, else as they were sent, unless other bytes were made of them."""
    for row in rows:
        if (found := _delivered(row)) is not None:
            return found
    if arrival.archived_as and not rows[0].source_sha256:
        path = arrival.evidence.get("prefix", "") + rows[0].item
        with Source(Path(arrival.archived_as), Listing(is_folder=arrival.is_folder)).open() as folder:
            name = path if arrival.is_folder else os.path.basename(arrival.archived_as)
            return os.fdopen(open_at_source(folder, name), "rb", buffering=0)
    raise NotReadable(
        f"{escape(rows[0].item)} is at no destination that can be read, and not in done",
        next_step="Ask the destination for its files, and drop them again",
    )


def _delivered(row: Delivery) -> BinaryIO | None:
    url, name = row.place.url, row.stored_as
    if not for_url(url).can_be_read:
        return None
    if (descriptor := open_here(url, name)) is not None:
        return os.fdopen(descriptor, "rb", buffering=0)
    with ExitStack() as unless_complete:
        copy = unless_complete.enter_context(TemporaryFile())
        try:
            copy.writelines(read(url, name))
        except FileNotFoundError:
            return None
        copy.flush()
        unless_complete.pop_all()  # its reader closes it
        return cast(BinaryIO, copy)
