"""Lets the importer of a route read an arrival's items, and record what it found when they are delivered."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import partial
from typing import BinaryIO

from dropslot.arrivals.delivery.paths.own_fields import fields_of
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.importers import Bytes, Imported, Importer
from dropslot.arrivals.models import Delivery
from dropslot.audit.chain import Entry
from dropslot.contents.base import ListedItem
from dropslot.contents.local_bytes import LocalBytes
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.files.descriptors import Folder
from dropslot.files.regular_files import open_at_source


def look_at_items(work: Work, importer: Importer, faults: list[str]) -> None:
    """Let the importer read the items that are to be delivered. Reasons of refusal are added to `faults`. Raises
    NotYet, SourceChanged, SourceUnready, StorageFault, and what else may go away by itself."""
    listed_as = {
        path: item
        for item in work.contents.listing.items
        if (path := work.contents.path_of(item.path)) is not None
    }
    with work.delivers.open() as folder:
        items = [
            ListedItem(path, item.size_bytes, partial(_open, folder, item.path))
            for path, item in listed_as.items()
        ]
        try:
            wanted = fields_of(work.config, work.route).in_paths
            work.imported = importer.look(work.arrival, items, wanted)
        except Refused as refusal:
            faults.extend(refusal.reasons)
            return
    held_back = _not_recorded(work, listed_as) if work.committed else work.imported.held_back
    work.contents.held_back = frozenset(listed_as[path].path for path in held_back)
    if len(work.contents.held_back) == len(listed_as):
        faults.append(f"{escape(work.name)} has no file of the kind that its route takes")


def _open(folder: Folder, path: str) -> BinaryIO:
    return os.fdopen(open_at_source(folder, path), "rb", buffering=0)


def _not_recorded(work: Work, paths: Collection[str]) -> Collection[str]:
    """Once something may be published, the items that the intent left out."""
    rows = Delivery.objects.filter(arrival_id=work.id).values_list("item", flat=True)
    return set(paths).difference(rows.iterator())


def prove(work: Work, imported: Imported, local: LocalBytes) -> None:
    """The bytes that the importer read must be the staged bytes. Raises SourceChanged, and Refused for what must not be
    delivered."""
    staged = dict(work.contents.delivered(work.staged))
    imported.prove(lambda path: local.open(staged[path]))
    imported.judge({path: Bytes(item.sha256, item.size_bytes) for path, item in staged.items()})


def record(work: Work, imported: Imported) -> Sequence[Entry]:
    """Record what the importer read, in the transaction that ends the delivery."""
    return imported.record(_delivered(work))


def _delivered(work: Work) -> dict[str, Bytes]:
    """From the rows, not from what is staged: an item that an earlier attempt published keeps its bytes of then."""
    if work.legs:
        return {row.item: Bytes(row.sha256, row.size_bytes) for leg in work.legs for row in leg.rows}
    rows = Delivery.objects.filter(arrival_id=work.id).values_list("item", "sha256", "size_bytes")
    return {item: Bytes(sha256, size) for item, sha256, size in rows.iterator()}
