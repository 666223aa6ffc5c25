"""Takes a dump of getresults-distribute over: its folders into a folder table, its history and acknowledgments into
the trail.

They become events, not deliveries: dropslot has not seen these files, so it can prove nothing of them but that they
were in this dump. People find them by `events --search`. A record that is in the trail already is not written again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from dropslot.audit.canonical import canonical
from dropslot.audit.chain import Entry, append, become_only_writer
from dropslot.audit.event_payloads import Import, Imported
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.models import Event
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.getresults.dump import HISTORY, Dump, OddRecord, Record
from dropslot.lookup import load_tables
from dropslot.lookup.cells import fault_of_cell, unwrapped
from dropslot.lookup.table_file import COLUMNS

PROGRAM = "getresults-distribute"


@dataclass(slots=True)
class Taken:
    """What came of a dump. `folders` is None if they were for no table."""

    history: int = 0
    acknowledgments: int = 0
    known: int = 0
    folders: load_tables.Loaded | None = None
    refused: Sequence[OddRecord] = ()

    def in_words(self, dump: Dump) -> Iterator[str]:
        """One line each, for a terminal."""
        yield f"Imported: {counted(self.history, 'delivery')}, {counted(self.acknowledgments, 'acknowledgment')}."
        if self.known:
            yield f"In the trail already: {counted(self.known, 'record')}."
        if self.folders is not None:
            yield (
                f"{self.folders.table}: {self.folders.added} added, {self.folders.unchanged} there already,"
                f" {len(self.folders.refused)} refused."
            )
        if dump.left:
            counts = ", ".join(f"{count:,} of {model}" for model, count in sorted(dump.left.items()))
            yield f"Left out, since dropslot keeps its own: {counts}."


def take_over(dump: Dump, content: bytes, file: Path, table: str, *, by: str) -> Taken:
    """Import what is not there yet, in one transaction. `table` is where the folders go; empty: nowhere. Raises
    DatabaseError: then nothing was imported."""
    taken = Taken(refused=dump.refused)
    records = {_digest(record): record for record in dump.old}  # before the lock, for which others wait
    with transaction.atomic():
        if table and dump.folders:  # rows first, the chain last
            taken.folders = load_tables.add(table, csv_of(_lines_of(dump.folders)), file, by=by)
        become_only_writer()
        fresh = _fresh(records)
        taken.history = sum(record.model == HISTORY for record, _ in fresh)
        taken.acknowledgments = len(fresh) - taken.history
        taken.known = len(dump.old) - len(fresh)
        if fresh:
            append([_beginning(content, file, len(fresh), len(taken.refused), by), *map(_event, fresh)])
    return taken


def write_table(dump: Dump, file: Path) -> bool:
    """Write the folders as the file of a folder table, unless there is such a file. Raises OSError."""
    if file.exists():
        return False
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as stream:
        stream.write(csv_of(_lines_of(dump.folders)))
    return True


def csv_of(lines: Sequence[Sequence[str]]) -> bytes:
    """Lines of a folder table as a CSV file that is read back as it was."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([COLUMNS, *([_cell(cell) for cell in line] for line in lines)])
    return stream.getvalue().encode("utf-8")


def _cell(text: str) -> str:
    """What could be taken for a number or a date is marked as text, as spreadsheets mark it."""
    is_plain = unwrapped(text) == (text, False) and not fault_of_cell("", text)
    return text if is_plain else '="' + text.replace('"', '""') + '"'


def _lines_of(folders: Sequence[Record]) -> list[list[str]]:
    """The folders in their order, as lines of a folder table."""
    lines = []
    for record in folders:
        fields = {"label": "default", "folder_tag": record.fields.get("folder_hint"), **record.fields}
        cells = (fields.get(column) for column in COLUMNS)
        lines.append(["" if cell is None else str(cell).strip() for cell in cells])
    return lines


def _digest(record: Record) -> str:
    return hashlib.sha256(canonical(record).encode("utf-8")).hexdigest()


def _fresh(records: Mapping[str, Record]) -> list[tuple[Record, str]]:
    """The records that the trail does not have yet, with their digests. One that has changed since, as by an
    acknowledgment, is another record."""
    known = set(_known())
    return [(record, digest) for digest, record in records.items() if digest not in known]


def _known() -> Iterator[str]:
    stored = Event.objects.filter(kind=Kind.IMPORTED).order_by().values_list("data", flat=True)
    return (json.loads(data)["record_sha256"] for data in stored.iterator(chunk_size=1000))


def _beginning(content: bytes, file: Path, records: int, refused: int, by: str) -> Entry:
    data: Import = {
        "from": escape(str(file)),
        "program": PROGRAM,
        "sha256": hashlib.sha256(content).hexdigest(),
        "records": records,
        "refused": refused,
        "by": by,
    }
    return entry(Kind.IMPORT, "", data)


def _event(fresh: tuple[Record, str]) -> Entry:
    record, digest = fresh
    data: Imported = {
        "program": PROGRAM,
        "model": record.model,
        "key": record.key,
        "name": str(record.fields["filename"]),
        "fields": record.fields,
        "record_sha256": digest,
    }
    return entry(Kind.IMPORTED, "", data)
