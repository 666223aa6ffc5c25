"""The findings of a verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dropslot.core.concealing import conceal

# The rest is only counted: a report of a million faults helps nobody and must fit into memory.
_LISTED = 1000


class Fault(NamedTuple):
    """One difference from what was recorded. `where`: "event 17", "receipt 01J…", or the stored file."""

    where: str
    what: str


@dataclass(slots=True)
class Report:
    """`faults` lists the first thousand, in order; `found` counts all; `checked` what was looked at."""

    checked: int = 0
    found: int = 0
    faults: list[Fault] = field(default_factory=list)
    told: Callable[[Fault], None] | None = None  # called for each fault, also those beyond the list

    @property
    def ok(self) -> bool:
        """Whether there are no faults."""
        return self.found == 0

    def fault(self, where: str, what: str) -> None:
        """Note one fault."""
        self.found += 1
        fault = Fault(where, conceal(what))
        if len(self.faults) < _LISTED:
            self.faults.append(fault)
        if self.told is not None:
            self.told(fault)
