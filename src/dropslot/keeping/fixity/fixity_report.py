"""What a reading of stored files found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dropslot.audit.verification_report import Report

GONE = "it is gone"


class StoredFile(NamedTuple):
    """One delivered file, as it was recorded."""

    id: int  # of the delivery
    arrival: str
    url: str
    stored_as: str
    sha256: str
    size_bytes: int

    @property
    def address(self) -> str:
        """For people."""
        return f"{self.url.rstrip('/')}/{self.stored_as}"


class Seen(NamedTuple):
    """What was found of it. `found` is its SHA-256 (empty: it was not read), `fault` a clause (empty: it is as it was
    delivered). `is_away`: its destination did not answer, which says nothing about the file."""

    file: StoredFile
    found: str = ""
    fault: str = ""
    is_away: bool = False
    size_bytes: int = 0


@dataclass(slots=True)
class FixityReport(Report):
    """`checked` counts files that were looked for, `size_bytes` what was read of them; `acknowledged` the deliveries to
    destinations that cannot be read back, of which nobody can say more."""

    size_bytes: int = 0
    acknowledged: int = 0

    def add(self, seen: Seen) -> None:
        """Count one file."""
        self.checked += 1
        if seen.fault:
            self.fault(seen.file.address, seen.fault)
