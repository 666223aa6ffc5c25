"""The values of each item's fields. They are read before staging, since paths need them, and proved afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from dropslot.arrivals.delivery.paths import mime_field
from dropslot.arrivals.delivery.paths.field_values import ask
from dropslot.arrivals.delivery.paths.own_fields import MIME, fields_of
from dropslot.arrivals.delivery.work import Work
from dropslot.contents.base import ListedItem
from dropslot.contents.local_bytes import LocalBytes
from dropslot.contents.source_bytes import SourceBytes
from dropslot.core.names import escape
from dropslot.fields.base import ItemField
from dropslot.files.listing import Item
from dropslot.files.walk import MAX_FAULTS

Values = dict[str, str]


def of_items(
    work: Work, wanted: Collection[str], items: Sequence[tuple[str, Item]], faults: list[str]
) -> dict[str, Values]:
    """The field values of each item (path below the target, item), by that path. An item that a field refuses is left
    out, and the reason is added to `faults`. Raises FieldFailed, SourceChanged, SourceUnready and StorageFault."""
    work.read = SourceBytes(work.delivers)
    if not items:
        return {}
    found: dict[str, Values | None] = {path: _imported(work, path) for path, _ in items}
    with work.read as source:
        listed = [ListedItem(path, item.size_bytes, partial(source.open, item.path)) for path, item in items]
        if MIME in wanted:
            for one, mime in zip(listed, mime_field.types_of_items(listed, faults), strict=True):
                found[one.path] = (
                    {**_imported(work, one.path), MIME: mime_field.as_part(mime)} if mime else None
                )
                work.mimes[one.path] = mime
        if set(wanted) - {MIME} and fields_of(work.config, work.route).of_items:
            for one in listed if len(faults) < MAX_FAULTS else ():
                found[one.path] = _ask(work, one, found[one.path], faults)
    return {path: values for path, values in found.items() if values is not None}


def _imported(work: Work, path: str) -> Values:
    """What the importer read for the paths of an item; an arrival's own values count more."""
    given = work.imported.values.get(path, {}) if work.imported else {}
    return {name: value for name, value in given.items() if name not in work.values}


def _ask(work: Work, item: ListedItem, known: Values | None, faults: list[str]) -> Values | None:
    """The known values of an item and those of the own fields; None if a field refuses it."""
    for field in fields_of(work.config, work.route).of_items:
        if known is None:
            return None
        before, all_known = len(faults), work.values | known
        give = partial(_values, field, item, all_known)
        given = ask(field, give, all_known, faults, "this item", f"{escape(item.path)}: ")
        known = {**known, **given} if len(faults) == before else None
    return known


def _values(field: ItemField, item: ListedItem, known: Values) -> Mapping[str, str] | None:
    given = field.values(item, MappingProxyType(known))
    if isinstance(given, Mapping) and (more := given.keys() - field.gives):
        raise ValueError(f"a field must return only what it gives; it returned {min(more)}")
    return given


def prove(work: Work, local: LocalBytes) -> None:
    """The bytes that fields read must be the staged bytes. Raises SourceChanged."""
    if work.read is not None:
        work.read.prove(work.staged, local.open)
