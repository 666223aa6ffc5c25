"""Reads a dump of getresults-distribute, made there by `python manage.py dumpdata getresults_dst`. Nothing here needs
Django.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from dropslot.config.mistakes.remedies import in_words
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

APPS = ("getresults_dst", "getresults_tx")  # its name, and an earlier one
HISTORY, ACKNOWLEDGMENT, FOLDER = "history", "acknowledgment", "remotefolder"
LARGEST_BYTES = 1_000_000_000
_LONGEST_TEXT = 2000
# The fields of each model; those that every record has, and those that are times.
_FIELDS = {
    HISTORY: "archive hostname remote_hostname path remote_path remote_folder remote_folder_tag remote_folder_hint"
    " archive_path filename filesize filetimestamp mime_type status sent_datetime acknowledged ack_datetime ack_user"
    " user",
    ACKNOWLEDGMENT: "filename ack_user ack_datetime ack_string in_sent_history created",
    FOLDER: "folder base_path folder_tag folder_hint label",
}
_NEEDED = {HISTORY: ("filename", "sent_datetime"), ACKNOWLEDGMENT: ("filename", "ack_datetime")}
_TIMES = frozenset({"sent_datetime", "ack_datetime", "filetimestamp", "created"})
_HOW = "Make one where getresults-distribute runs: python manage.py dumpdata getresults_dst > dump.json"


class BadDump(DropslotError):
    """The file is not a dump of getresults-distribute; nothing of it was imported."""

    code = "bad-dump"

    def __init__(self, what: str, next_step: str = _HOW) -> None:
        super().__init__(what, where="Nothing was imported", next_step=next_step)


class Record(NamedTuple):
    """One row of an old table: its model, its key there, and its fields as they were dumped."""

    model: str
    key: str
    fields: Mapping[str, Any]


class OddRecord(NamedTuple):
    """A record that cannot be imported, and why."""

    record: str
    reason: str


@dataclass(slots=True)
class Dump:
    """The records of a dump by their kind; `left` counts those that dropslot has no use for."""

    folders: list[Record] = field(default_factory=list)
    old: list[Record] = field(default_factory=list)  # history and acknowledgments
    refused: list[OddRecord] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def content_of(file: Path) -> bytes:
    """The bytes of a dump. Raises BadDump."""
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise BadDump(f"{escape(str(file))} has more than {LARGEST_BYTES:,} bytes")
        return file.read_bytes()
    except OSError as error:
        raise BadDump(
            f"{escape(str(file))} cannot be read: {in_words(error, file)}", "Check its name and owner"
        ) from error


def read(content: bytes) -> Dump:
    """The records of a dump, in its order. A bad record does not affect the others. Raises BadDump."""
    found = Dump()
    for number, row in enumerate(_rows(content), 1):
        _sort(row, number, found)
    if not (found.folders or found.old or found.refused or found.left):
        raise BadDump("The dump has no record of getresults-distribute")
    return found


def _rows(content: bytes) -> list[Any]:
    try:
        # A dump that PowerShell wrote is UTF-16; json finds that out by itself.
        rows = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadDump("The dump is nested too deeply to be one of Django") from None
    except ValueError as error:
        raise BadDump(f"The dump is not JSON as Django writes it: {escape(str(error)[:200])}") from error
    if not isinstance(rows, list):
        raise BadDump("The dump is JSON, but not the list of records that Django writes")
    return rows


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _sort(row: Any, number: int, found: Dump) -> None:
    if not isinstance(row, dict) or not isinstance(row.get("model"), str):
        found.refused.append(OddRecord(f"record {number}", "it has no model"))
        return
    app, _, model = row["model"].lower().partition(".")
    if app not in APPS:
        return
    if model not in _FIELDS:
        found.left[escape(model)] += 1
        return
    record = Record(model, _key(row.get("pk")), _known(model, row.get("fields")))
    if reason := _fault_of(record, row.get("fields")):
        found.refused.append(OddRecord(f"{model} {record.key or f'(record {number})'}", reason))
    else:
        (found.folders if model == FOLDER else found.old).append(record)


def _key(value: Any) -> str:
    return escape(str(value))[:100] if isinstance(value, (int, str)) else ""


def _known(model: str, fields: Any) -> dict[str, Any]:
    """The fields that a model had; what somebody added to it is left out."""
    if not isinstance(fields, dict):
        return {}
    return {name: fields[name] for name in _FIELDS[model].split() if name in fields}


def _fault_of(record: Record, fields: Any) -> str:
    if not isinstance(fields, dict):
        return "it has no fields"
    for name in _NEEDED.get(record.model, ()):
        if not isinstance(record.fields.get(name), str) or not record.fields[name].strip():
            return f"{name} is missing"
    for name, value in record.fields.items():
        if not _is_plain(value):
            return (
                f"{name} is not a text of at most {_LONGEST_TEXT} characters, a number, true, false or null"
            )
        if name in _TIMES and value is not None and not _is_time(value):
            return f"{name} is not a time: {escape(str(value)[:80])}"
        if record.model == FOLDER and not str(value).isprintable():
            return f"{name} has characters that cannot be printed: {escape(str(value)[:80])}"
    return ""


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True
