"""The field `mime`: the type of an item's content. It is read before staging and proved afterwards."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.work import Work
from dropslot.checks import mime
from dropslot.contents.base import ListedItem, Staged
from dropslot.contents.local_bytes import LocalBytes
from dropslot.core.errors import Refused, SourceChanged
from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.regular_files import READ

DIRECTORY = "inode-directory"


def type_of(work: Work) -> str | None:
    """The type of the entry that lies there now, as one part of a path (`application-pdf`); None if it is gone, or
    neither file nor folder. Raises SourceUnready and StorageFault."""
    for path in _whereabouts(work):
        try:
            return _type_at(os.open(path, READ), work.name)
        except OSError as error:
            if error.errno not in faults.NOT_THERE:
                raise faults.at_source(error, work.name) from error
    return None


def _whereabouts(work: Work) -> list[Path]:
    """Where the arrival may lie before this attempt has taken it over."""
    if work.arrival.in_place:
        return [work.folders.inbox / work.name]
    held = [folder for arrival, _, folder in whereabouts.holdings(work.folders) if arrival == work.id]
    return [folder / work.name for folder in (*held, whereabouts.refused(work.folders, work.id))]


def _type_at(descriptor: int, name: str) -> str | None:
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            return DIRECTORY
        return as_part(mime.types_of(descriptor, name)[0]) if stat.S_ISREG(kind) else None
    finally:
        os.close(descriptor)


def as_part(found: str) -> str:
    """A MIME type as one part of a path."""
    return found.replace("/", "-")


def types_of_items(items: Sequence[ListedItem], faults: list[str]) -> list[str]:
    """The MIME type of each item. An item that crashes the parser gets an empty type and a reason in `faults`."""
    try:
        return [types[0] for types in mime.types_of_staged([item.open for item in items], items[0].path)]
    except Refused as refusal:
        if len(items) == 1:
            faults.extend(refusal.reasons)
            return [""]
        half = len(items) // 2  # to find the item at fault
        return types_of_items(items[:half], faults) + types_of_items(items[half:], faults)


def local_bytes(work: Work) -> LocalBytes:
    """Opens the staged items of an arrival, for checks."""
    whole = [leg for leg in work.legs if leg.part is None]
    parted = {item.path: leg for leg in work.legs if leg.part for item in leg.part.items}

    def staged_here(path: str) -> BinaryIO | None:
        legs = [*whole, parted[path]] if path in parted else whole
        return next((file for leg in legs if (file := leg.drop.open_staged(path)) is not None), None)

    return LocalBytes(work.delivers, staged_here, work.config.data)


def look_at_types(works: Sequence[Work]) -> None:
    """Find the types of single files from their staged bytes and keep them with their works. Raises Refused,
    CheckFailed and SourceChanged."""
    with ExitStack() as stack:
        opened = [partial(stack.enter_context(local_bytes(work)).open, _only_item(work)) for work in works]
        found = mime.types_of_staged(opened, works[0].name)
    for work, types in zip(works, found, strict=True):
        work.types = types


def _only_item(work: Work) -> Staged:
    return work.legs[0].staged[0]


def prove_type(work: Work, local: LocalBytes) -> None:
    """The staged bytes must have the type that the arrival's fields got. Raises SourceChanged."""
    if not work.type_seen or work.listing.is_folder:
        return
    found = as_part(
        (work.types or mime.types_of_staged([partial(local.open, _only_item(work))], work.name)[0])[0]
    )
    if found != work.type_seen:
        raise SourceChanged(
            f"The content type was {work.type_seen} and is now {found}",
            where=f"Nothing of arrival {work.id} was delivered; it waits at {escape(str(work.source))}",
            next_step="It is retried. If this repeats, let the sender write under a temporary name and rename",
        )
