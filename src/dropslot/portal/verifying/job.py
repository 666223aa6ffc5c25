"""The process that verifies: `python -m dropslot.portal.verifying.job ID`, started by the portal. It runs when nothing
else wants the processor or the disk, so deliveries do not wait for it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropslot.audit.verification_report import Report
    from dropslot.config import Config
    from dropslot.portal.verifying.runs import Run

SECONDS = 1.0


def main(id: str) -> int:
    """Verify; returns 1 if there were faults, 2 if it could not be done."""
    from dropslot.running.priority import yield_to_all

    yield_to_all()
    import django

    django.setup()
    from dropslot.config import current
    from dropslot.portal.verifying import runs

    config = current()
    run = runs.load(config, id)
    if run is None:
        return 2
    verify(config, run)
    return {"ok": 0, "faults": 1}.get(run.outcome, 2)


def verify(config: Config, run: Run, seconds: float = SECONDS) -> None:
    """Do it; the run's file tells how far it is every so many seconds, then the result, which the trail has too."""
    from dropslot.core.errors import DropslotError

    job = _Job(config, run, seconds)
    try:
        job.do()
        run.outcome = "faults" if run.found else "ok"
    except (DropslotError, OSError) as error:
        run.outcome, run.error = "failed", str(error)
    except Exception as error:  # noqa: BLE001 - the page must say that it did not end well
        run.outcome, run.error = "failed", f"{type(error).__name__}: {error}"
    finally:
        job.end()


class _Job:
    """One run, and the thread that saves how far it is."""

    def __init__(self, config: Config, run: Run, seconds: float) -> None:
        self._config, self._run, self._seconds = config, run, seconds
        self._ended = threading.Event()
        self._refresh: Callable[[], None] = lambda: None
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def do(self) -> None:
        from dropslot.keeping.fixity.originals import check_archives

        self._count()
        self._watcher.start()
        self._chain()
        if self._run.fixity:
            self._files()
        self._begin("originals", lambda: None)
        originals = check_archives(self._config, read=self._run.fixity)
        self._run.originals = originals.checked
        self._add(originals)

    def _count(self) -> None:
        from django.db.models import Count, Sum

        from dropslot.audit.chain import head
        from dropslot.audit.models import Receipt
        from dropslot.keeping.fixity.stored_files import stored

        run = self._run
        run.events_total, run.receipts_total = head().seq, Receipt.objects.count()
        if run.fixity:
            counted = stored().aggregate(files=Count("pk"), size=Sum("size_bytes"))
            run.files_total, run.total_bytes = counted["files"], counted["size"] or 0

    def _chain(self) -> None:
        from dropslot.arrivals.upkeep.rebuilding.signs import signs
        from dropslot.audit import signing_key
        from dropslot.audit.chain import head_from
        from dropslot.audit.verifying import verify as audit

        report = audit.ChainReport()

        def refresh() -> None:
            self._run.receipts, self._run.events = report.receipts, report.checked

        self._begin("chain", refresh)
        signers = signing_key.allowed_signers(self._config.keys / signing_key.ALLOWED_SIGNERS)
        heads = [head_from(self._run.against)] if self._run.against else []
        audit.chain(heads=heads, signers=signers, report=report)
        refresh()
        self._run.head = str(report.head)
        self._add(report)
        self._stamps()
        for sign in signs(self._config):
            self._run.found += 1
            self._run.faults.append(("database", sign))

    def _stamps(self) -> None:
        from dropslot.timestamps.verify_stamps import check

        report = check(self._config)
        self._run.stamps = report.checked
        self._run.stamped = f"{report.seq} {report.at:%Y-%m-%dT%H:%M:%SZ}" if report.at else ""
        self._add(report)

    def _files(self) -> None:
        from dropslot.keeping.fixity import damage
        from dropslot.keeping.fixity.fixity_report import FixityReport
        from dropslot.keeping.fixity.stored_files import check_all

        report = FixityReport()

        def refresh() -> None:
            self._run.files, self._run.size_bytes = report.checked, report.size_bytes

        self._begin("files", refresh)
        check_all(report, damage.note)
        refresh()
        self._run.acknowledged = report.acknowledged
        self._add(report)

    def _begin(self, step: str, refresh: Callable[[], None]) -> None:
        self._run.step, self._run.step_since, self._refresh = step, time.time(), refresh

    def _add(self, report: Report) -> None:
        from dropslot.portal.verifying.runs import LISTED_FAULTS

        self._run.found += report.found
        left = LISTED_FAULTS - len(self._run.faults)
        self._run.faults += [(fault.where, fault.what) for fault in report.faults[: max(0, left)]]

    def _watch(self) -> None:
        from dropslot.portal.verifying import runs

        stop = runs.folder_of(self._config) / f"{self._run.id}.stop"
        while not self._ended.wait(self._seconds):
            self._refresh()
            if stop.exists():
                self._run.outcome = "stopped"
                self._record()
                os._exit(2)  # nothing of it is half done: it only reads
            with suppress(OSError):  # a full disk: the next time
                runs.save(self._config, self._run)

    def end(self) -> None:
        """Save the result, and record it in the trail."""
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._record()

    def _record(self) -> None:
        from django.db import DatabaseError, transaction

        from dropslot.audit.chain import append, timestamp
        from dropslot.audit.kinds import Kind, entry
        from dropslot.audit.visits import Verified
        from dropslot.portal.verifying import runs

        run = self._run
        run.ended_at = timestamp(datetime.now(UTC))
        data: Verified = {
            "by": run.by,
            "address": run.address,
            "at": run.started_at,
            "what": "trail and files" if run.fixity else "trail",
            "outcome": run.outcome,
            "events": run.events,
            "files": run.files,
            "faults": run.found,
            "head": run.head,
        }
        try:
            with transaction.atomic():
                append([entry(Kind.VERIFIED, "", data)])
        except DatabaseError as error:
            run.error = run.error or f"The result could not be recorded in the trail: {error}"
        runs.save(self._config, run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
