"""Verifies the trail a little at each look, from its beginning to its end and then whatever is new, again each day."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.registry import Late
from dropslot.audit.chain import GENESIS, Head
from dropslot.audit.report import Fault
from dropslot.audit.verifying import verify
from dropslot.core.troubles import TroubleKind
from dropslot.running.ages import elapsed

AGAIN_SECONDS = 86_400.0


class Trail:
    """How far the events are verified in this pass, and the first fault that was found in it, or in the one before."""

    def __init__(self) -> None:
        self._head: Head = GENESIS
        self._begun = elapsed()
        self._fault: Fault | None = None
        self._kept: Fault | None = None  # of the pass before, until this one has come to its end
        self.is_decided = False  # a pass has come to its end, or found a fault

    def look(self) -> None:
        """Verify some thousand more events. Raises DatabaseError."""
        if self.is_decided and elapsed() - self._begun >= AGAIN_SECONDS:
            self._head, self._begun, self._kept, self._fault = (
                GENESIS,
                elapsed(),
                self._fault or self._kept,
                None,
            )
        report = verify.stretch(self._head)
        if report.faults and self._fault is None:
            self._fault = report.faults[0]
        if report.checked < verify.PAGE:
            self._kept = None
            self.is_decided = True
        # An event that was verified is gone: from the beginning again, to know what else is.
        self._head = report.head if report.checked or report.ok else GENESIS

    def late(self) -> Iterator[Late]:
        """The fault, if there is one."""
        if fault := self._fault or self._kept:
            what = f"{fault.where}: {fault.what}"
            yield Late("audit trail", what, "dropslot verify", kind=TroubleKind.CHAIN)
