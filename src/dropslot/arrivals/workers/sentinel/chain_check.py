"""Verifies the trail a little at each look, from its beginning to its end and then whatever is new, again each day."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dropslot.arrivals.registry import Late
from dropslot.audit.chain import GENESIS, Head, head_from
from dropslot.audit.verification_report import Fault
from dropslot.audit.verifying import verify
from dropslot.audit.verifying.verify import ChainReport
from dropslot.core.troubles import TroubleKind
from dropslot.running.ages import elapsed

AGAIN_SECONDS = 86_400.0


class Trail:
    """How far the events are verified in this pass, and the first fault that was found in it, or in the one before.

    `file` keeps the head of the trail while it is intact: after a restart, too, it is known which event must be there,
    though the end of the trail was cut off, or an older copy of the database put in its place.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = _read(file)  # was the head of an intact trail
        self._is_compared = self._known == GENESIS
        self._head: Head = GENESIS
        self._begun = elapsed()
        self._fault: Fault | None = None
        self._kept: Fault | None = None  # of the pass before, until this one has come to its end
        self.is_decided = False  # a pass has come to its end

    def look(self) -> None:
        """Verify some thousand more events. Raises DatabaseError."""
        if not self._is_compared:
            self._verify_after(self._known)
            self._is_compared = True
        if self.is_decided and elapsed() - self._begun >= AGAIN_SECONDS:
            self._head, self._begun, self._kept, self._fault = (
                GENESIS,
                elapsed(),
                self._fault or self._kept,
                None,
            )
        report = self._verify_after(self._head)
        # An event that was verified is gone: from the beginning again, to know what else is.
        self._head = report.head if report.checked or report.ok else GENESIS
        if report.checked < verify.PAGE:
            self._kept = None
            self.is_decided = True
            self._keep()

    def _verify_after(self, head: Head) -> ChainReport:
        report = verify.stretch(head)
        if report.faults and self._fault is None:
            self._fault = report.faults[0]
        return report

    def _keep(self) -> None:
        if self._fault is not None or self._head in (GENESIS, self._known):
            return
        self._known = self._head
        with suppress(OSError):  # a full disk, which is a trouble of its own
            new = self._file.with_name(f".{self._file.name}.{os.getpid()}.new")
            new.write_text(f"{self._head}\n", "ascii")
            new.replace(self._file)

    def late(self) -> Iterator[Late]:
        """The fault, if there is one."""
        if fault := self._fault or self._kept:
            what = f"{fault.where}: {fault.what}"
            remedy = "dropslot verify" if self._known == GENESIS else f"dropslot verify --head {self._known}"
            yield Late("audit trail", what, remedy, kind=TroubleKind.CHAIN, is_local=True)


def _read(file: Path) -> Head:
    try:
        return head_from(file.read_text("ascii").strip())
    except (OSError, ValueError):
        return GENESIS
