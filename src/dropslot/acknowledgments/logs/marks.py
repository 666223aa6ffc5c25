"""How far each file of a log was read. A file is identified by its first bytes, not by name, inode or size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from dropslot.acknowledgments.logs.log_sources import LogFile

FIRST_BYTES = 1024
REMEMBERED = 8  # files; a late line in an older one is not found


@dataclass(slots=True)
class Mark:
    """How far one file was read. `first`: so many of its first bytes have this SHA-256. `skipping`: within a line that
    is too long; `finished`: compressed, and read to its end."""

    offset: int = 0
    first: int = 0
    sha256: str = ""
    skipping: bool = False
    finished: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether a file whose first FIRST_BYTES are `head` is the one that was marked."""
        if not self.first:
            return not head
        return len(head) >= self.first and sha256(head[: self.first]).hexdigest() == self.sha256

    def moved(self, file: LogFile, offset: int, *, skipping: bool) -> Mark:
        """The mark after more was read. Only bytes that were read count: those after them may still change."""
        if self.first >= FIRST_BYTES:
            return Mark(offset, self.first, self.sha256, skipping)
        data = file.read(0, min(FIRST_BYTES, offset))
        return Mark(offset, len(data), sha256(data).hexdigest(), skipping)


def load(marks: Sequence[dict[str, Any]]) -> list[Mark]:
    """Marks from the database, the oldest file first."""
    return [Mark(**mark) for mark in marks]


def dump(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Marks for the database; the oldest are forgotten."""
    return [asdict(mark) for mark in marks[-REMEMBERED:]]


def mark_of(file: LogFile, marks: Sequence[Mark]) -> Mark | None:
    """The mark of a file, the newest of several; None when it was never read."""
    head = file.read(0, FIRST_BYTES)
    return next((mark for mark in reversed(marks) if mark.fits(head)), None)


def replaced(marks: Sequence[Mark], mark: Mark, moved: Mark) -> list[Mark]:
    """The marks with one of them updated in its place; the mark of a new file comes last."""
    kept = [moved if known is mark else known for known in marks if known.first or known is mark]
    return kept if any(known is moved for known in kept) else [*kept, moved]
