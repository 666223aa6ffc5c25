"""Receipts outside of the database: `data/receipts/YEAR-MONTH.jsonl`, one finished arrival a line.

They are what `rebuild` reads when the database is lost or older. They are written after the commit, so that the
database knows every arrival that they name. A crash in between leaves a line out; the manifests at the destinations
remain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from dropslot.audit.models import Receipt
from dropslot.config.private import make_private
from dropslot.core.names import escape

FOLDER = "receipts"
_TAIL_BYTES = 1 << 20
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """One finished arrival. `about` is what its row said besides, `listings` the manifests that lie nowhere else."""

    body: str
    signature: str
    about: Mapping[str, Any] = field(default_factory=dict)
    listings: Mapping[str, str] = field(default_factory=dict)

    @property
    def receipt(self) -> dict[str, Any]:
        """What the receipt says."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def saved(self) -> Receipt:
        """As the database has it; unsaved."""
        return Receipt(arrival=self.receipt["arrival"], body=self.body, signature=self.signature)


def keep(data: Path, month: datetime, several: Sequence[Kept]) -> None:
    """Append lines, whole, by one write. What cannot be written is logged: no delivery waits for it."""
    lines = [
        json.dumps({"body": k.body, "signature": k.signature, "about": k.about, "listings": k.listings})
        for k in several
    ]
    path = data / FOLDER / f"{month:%Y-%m}.jsonl"
    try:
        # It begins with a line end, so that a line which a full disk cut off spoils no other.
        _append(path, data, ("\n" + "\n".join(lines) + "\n").encode("ascii"))
    except OSError as error:
        line = "Receipts could not be kept beside the database, which has them"
        log.warning(line, action="receipts_not_kept", error=str(error), count=len(several))


def _append(path: Path, data: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        make_private(path.parent, data)
        descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def read(data: Path) -> Iterator[Kept]:
    """All that were kept, the oldest first. Lines that cannot be read are logged and left out. Raises OSError."""
    for path in _files(data):
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if kept := _kept(line, f"{path.name}:{number}"):
                    yield kept


def newest(data: Path) -> Kept | None:
    """The last one that was kept, found by reading no more than the end of one file. Raises OSError."""
    for path in reversed(_files(data)):
        with path.open("rb") as stream:
            size, tail = path.stat().st_size, 0
            while tail < size:  # a line may be longer than the part that is read first
                tail = 16 * tail or _TAIL_BYTES
                stream.seek(max(0, size - tail))
                for line in reversed(stream.read().split(b"\n")):
                    if kept := _kept(line, ""):
                        return kept
    return None


def find(data: Path, arrival: str) -> Kept | None:
    """The last one of an arrival; looks through all of them."""
    sign = arrival.encode("ascii", "replace")
    found = None
    for path in _files(data):
        with path.open("rb") as stream:
            for line in stream:
                if sign in line and (kept := _kept(line, "")) and kept.receipt["arrival"] == arrival:
                    found = kept
    return found


def _files(data: Path) -> list[Path]:
    folder = data / FOLDER
    return sorted(folder.glob("*.jsonl")) if folder.is_dir() else []


def _kept(line: bytes, where: str) -> Kept | None:
    if not line.strip():
        return None
    try:
        found = json.loads(line)
        kept = Kept(found["body"], found["signature"], found["about"], found["listings"])
        _ = kept.receipt["arrival"], kept.receipt["manifests"], kept.receipt["head"]["seq"]
    except (ValueError, KeyError, TypeError):
        if where:
            log.warning("A kept receipt cannot be read", action="receipt_unreadable", where=escape(where))
        return None
    return kept
