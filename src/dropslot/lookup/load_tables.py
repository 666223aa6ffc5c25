"""Loads folder tables from their files into the database; each change is an event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog
from django.db import transaction
from django.utils import timezone

from dropslot.audit.chain import Entry, append
from dropslot.audit.event_payloads import FoldersLoaded
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.patterns import composed
from dropslot.lookup.models import Folder, FolderTable
from dropslot.lookup.table_file import BadTable, Key, Line, OddLine, TableFile, read

log = structlog.get_logger()
_TOLD_CHANGES = 100
_LOGGED = 20


@dataclass(slots=True)
class Loaded:
    """The result for a file's lines."""

    table: str
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    kept: int = 0  # in the table and not in the file
    refused: list[OddLine] = field(default_factory=list)
    suspected: list[OddLine] = field(default_factory=list)
    changes: list[dict[str, str]] = field(
        default_factory=list
    )  # of a preview: each entry, `before` and `after`


def tables(config: Config) -> dict[str, Path]:
    """The tables that the routes look up, by name, with the file that config.yaml names for each."""
    files = [Path(lookup.table) for route in config.routes.values() for lookup in route.lookup]
    return {table_name(config, file): file for file in files}


def table_name(config: Config, file: Path) -> str:
    """The name of a file's table: its path, relative if the file is below config.yaml's folder."""
    return str(file.relative_to(config.base)) if file.is_relative_to(config.base) else str(file)


def load(config: Config, file: Path, table: str, *, by: str, replace: bool = False) -> Loaded:
    """Load the good lines of a file into a table, in one transaction. `replace` removes entries that are not in the
    file, unless lines of it were refused. Raises BadTable, and OSError when it cannot be read.
    """
    return load_content(config, file.read_bytes(), file, table, by=by, replace=replace)


def load_content(
    config: Config, content: bytes, file: Path, table: str, *, by: str, replace: bool = False
) -> Loaded:
    """Load a file that was read already, as `load` does; `file` is what the record and errors call it. Raises
    BadTable."""
    found = _read(content, file)
    configured = tables(config).get(table, file)
    seen = _digest(content if configured == file else _content(configured))
    replaces = replace and not found.refused
    with transaction.atomic():
        row = _locked(table)
        compared = _compared(row, found)
        _write(row, compared, replace=replaces)
        loaded, changes = (
            _result(table, compared, found, replace=replaces),
            _changes(compared, replace=replaces),
        )
        FolderTable.objects.filter(pk=row.pk).update(seen=seen, loaded_at=timezone.now())
        append([_event(loaded, changes, file, content, by)])
    return loaded


def add(table: str, content: bytes, source: Path, *, by: str) -> Loaded:
    """Add lines that come from elsewhere than the table's own file, but are written as such a file. An entry that the
    table has already stays as it is; a line with another folder is refused. Only an addition is an event. Raises
    BadTable.
    """
    found = read(content)
    with transaction.atomic():
        row = _locked(table)
        contradictions = list(_take_contradictions(_known(row), found))
        compared = _compared(row, found)
        _write(row, compared, replace=False)
        loaded, changes = _result(table, compared, found, replace=False), _changes(compared, replace=False)
        loaded.refused = sorted([*loaded.refused, *contradictions])
        if changes:
            append([_event(loaded, changes, source, content, by)])
    return loaded


def _take_contradictions(known: dict[Key, Folder], found: TableFile) -> Iterator[OddLine]:
    for key, line in list(found.lines.items()):
        if key in known and known[key].folder != line.folder:
            del found.lines[key]
            told = f"the folder of {line.label} {line.folder_tag} is {line.folder} here"
            yield OddLine(line.number, f"{told}, and {known[key].folder} in the table, which stays")


def preview(content: bytes, file: Path, table: str, *, replace: bool = False) -> Loaded:
    """What `load_content` would do now, with each change; changes nothing. Raises BadTable."""
    found = _read(content, file)
    compared = _compared(FolderTable.objects.filter(name=table).first(), found)
    replaces = replace and not found.refused
    loaded = _result(table, compared, found, replace=replaces)
    loaded.changes = _changes(compared, replace=replaces)
    return loaded


def _read(content: bytes, file: Path) -> TableFile:
    try:
        return read(content)
    except BadTable as error:
        what = f"{escape(str(file))} is not a folder table. {error.what}"
        raise BadTable(what, where="Nothing was loaded", next_step=error.next_step) from error


def _locked(table: str) -> FolderTable:
    """The table's row, locked: only the holder of the lock loads the table."""
    FolderTable.objects.get_or_create(name=table)
    return FolderTable.objects.select_for_update().get(name=table)


class _Compared(NamedTuple):
    """A file's good lines beside a table's entries."""

    fresh: list[Line]
    altered: list[tuple[Folder, Line]]
    gone: list[Folder]
    unchanged: int


def _compared(row: FolderTable | None, found: TableFile) -> _Compared:
    known = _known(row) if row else {}
    fresh = [line for key, line in found.lines.items() if key not in known]
    altered = [
        (known[key], line)
        for key, line in found.lines.items()
        if key in known and (known[key].folder, known[key].label) != (line.folder, line.label)
    ]
    gone = [old for key, old in known.items() if key not in found.lines]
    return _Compared(fresh, altered, gone, len(found.lines) - len(fresh) - len(altered))


def _known(row: FolderTable) -> dict[Key, Folder]:
    return {Key(old.label_key, composed(old.folder_tag), old.base_path): old for old in row.folders.all()}


def _changes(compared: _Compared, *, replace: bool) -> list[dict[str, str]]:
    changes = [_change(line, "", line.folder) for line in compared.fresh]
    changes += [_change(line, old.folder, line.folder) for old, line in compared.altered]
    return changes + ([_change(old, old.folder, "") for old in compared.gone] if replace else [])


def _write(row: FolderTable, compared: _Compared, *, replace: bool) -> None:
    Folder.objects.bulk_create([_row(row, line) for line in compared.fresh], batch_size=500)
    for old, line in compared.altered:
        Folder.objects.filter(pk=old.pk).update(folder=line.folder, label=line.label)
    gone = [old.pk for old in compared.gone] if replace else []
    for some in range(0, len(gone), 500):
        Folder.objects.filter(pk__in=gone[some : some + 500]).delete()


def _result(table: str, compared: _Compared, found: TableFile, *, replace: bool) -> Loaded:
    gone = len(compared.gone)
    removed, kept = (gone, 0) if replace else (0, gone)
    return Loaded(
        table,
        len(compared.fresh),
        len(compared.altered),
        compared.unchanged,
        removed,
        kept,
        found.refused,
        found.suspected,
    )


def _row(table: FolderTable, line: Line) -> Folder:
    return Folder(
        table=table,
        base_path=line.base_path,
        folder=line.folder,
        folder_tag=line.folder_tag,
        label=line.label,
        label_key=line.key.label,
    )


def _change(line: Line | Folder, before: str, after: str) -> dict[str, str]:
    where = {"label": line.label, "folder_tag": line.folder_tag, "base_path": line.base_path}
    return where | {"before": before, "after": after}


def _event(loaded: Loaded, changes: list[dict[str, str]], file: Path, content: bytes, by: str) -> Entry:
    """This table decides where results go, so the trail records what changed, and from which file."""
    data: FoldersLoaded = {
        "table": loaded.table,
        "added": loaded.added,
        "updated": loaded.updated,
        "unchanged": loaded.unchanged,
        "removed": loaded.removed,
        "refused": len(loaded.refused),
        "by": by,
        "file": escape(str(file)),
        "sha256": _digest(content),
        "changes": changes[:_TOLD_CHANGES],
    }
    if loaded.suspected:
        data["suspected"] = len(loaded.suspected)
    return entry(Kind.FOLDERS_LOADED, "", data)


def refresh(config: Config) -> None:
    """Load the tables whose files have changed since they were last loaded; for the start of a command. Raises
    DropslotError if a table was never loaded and cannot be loaded now. Otherwise faults are logged, and the entries
    loaded before stay.
    """
    for table, file in tables(config).items():
        row = FolderTable.objects.filter(name=table).first()
        try:
            if row is None or row.seen != _digest(file.read_bytes()):
                _say(load(config, file, table, by="start"), file)
        except (OSError, BadTable) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            if row is None:
                raise NoTable(
                    f"The folder table {escape(str(file))} cannot be loaded: {words}",
                    where="Nothing was taken from an inbox",
                    next_step="Make that file, with the columns base_path, folder, folder_tag and label",
                ) from error
            log.warning(
                f"The folder table {escape(str(file))} cannot be loaded ({words}); what was loaded before counts",
                action="folders_not_loaded",
            )


class NoTable(DropslotError):
    """A table that routes use has never been loaded."""

    code = "no-table"


def _say(loaded: Loaded, file: Path) -> None:
    counts = {name: getattr(loaded, name) for name in ("added", "updated", "unchanged", "kept")}
    log.info("Folder table loaded", action="folders_loaded", refused=len(loaded.refused), **counts)
    for line in refusals(loaded, file, _LOGGED):
        log.warning(line, action="folder_line_refused")
    for line in suspicions(loaded.suspected, file, _LOGGED):
        log.warning(line, action="folder_line_suspected")


def refusals(loaded: Loaded, file: Path, most: int) -> Iterator[str]:
    """A sentence for each refused line; if there are more than `most`, one about the others."""
    for number, reason in loaded.refused[:most]:
        yield f"{escape(str(file))}, line {number}, was refused: {reason}"
    if (more := len(loaded.refused) - most) > 0:
        yield f"{escape(str(file))}: {more:,} more lines were refused"


def suspicions(suspected: Sequence[OddLine], file: Path, most: int) -> Iterator[str]:
    """A sentence for each loaded but suspicious line; if there are more than `most`, one about the others."""
    for number, reason in suspected[:most]:
        yield f"{escape(str(file))}, line {number}, was loaded but looks suspicious: {reason}"
    if (more := len(suspected) - most) > 0:
        yield f"{escape(str(file))}: {more:,} more lines look suspicious"


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
