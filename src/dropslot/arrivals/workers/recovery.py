"""Makes the folders and the database agree, at start and from time to time.

An entry in processing without a row is adopted; an arrival that is recorded but not moved yet is moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog
from django.db import transaction

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery import finish, make_anew
from dropslot.arrivals.delivery.shares import helping
from dropslot.arrivals.intake import claim_without_row, record
from dropslot.arrivals.intake.claim import Claim
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import holder
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import UNFINISHED, State

log = structlog.get_logger()


def recover(config: Config) -> list[str]:
    """Bring folders and rows together; returns the ids that were adopted. May run beside working processes."""
    holder.sweep(config.data)
    helping.sweep()
    make_anew.sweep(config)
    adopted = []
    for route in config.routes.values():
        for folders in folder_sets(route):
            adopted += _recover(config, folders)
    return adopted


def _recover(config: Config, folders: FolderSet) -> list[str]:
    """In pieces: a hundred thousand may be in processing."""
    pieces = chunks(whereabouts.holdings(folders), CHUNK)
    return [arrival for holdings in pieces for arrival in _recover_some(config, folders, holdings)]


def _recover_some(config: Config, folders: FolderSet, holdings: Sequence[tuple[str, int, Path]]) -> list[str]:
    rows = Arrival.objects.in_bulk([arrival for arrival, _, _ in holdings])
    claims = []
    for arrival, epoch, folder in holdings:
        row = rows.get(arrival)
        if row is None or row.state == State.WAITING:
            claims.extend(_claim_of(folders, arrival, folder))
        elif row.state == State.DONE:
            with finish.or_later(arrival, "Delivered and recorded, but it could not be moved to done"):
                finish.archive_folder(folders, row, folder)
        elif row.state == State.FAILED:
            with finish.or_later(arrival, "Refused, but it could not be moved to failed"):
                finish.file_refused(config, folders, row, folder)
        elif max(row.epoch, 1) < epoch:  # a claim's folder has the first epoch before any worker takes it
            _catch_up(row, epoch)
    if claims:
        record.record_apart(config, list(_as_announced(claims)))
        log.warning(
            "Claims without a record were found in processing and are continued",
            action="adopted",
            route=folders.route.key,
            count=len(claims),
            arrivals=[claim.id for claim in claims[: record.LISTED]],
        )
    return [claim.id for claim in claims]


def _catch_up(row: Arrival, epoch: int) -> None:
    """The folder has a later epoch than its row. Rows are committed first, so the database is an older copy."""
    with transaction.atomic():
        behind = Arrival.objects.filter(id=row.id, epoch__lt=epoch, state__in=UNFINISHED)
        if behind.update(epoch=epoch):
            append([entry(Kind.EPOCH_ADOPTED, row.id, {"epoch": epoch, "before": row.epoch})])
            log.warning(
                "The database is older than the folder in processing; it continues with the folder's epoch",
                action="epoch_adopted",
                arrival=row.id,
            )


def _claim_of(folders: FolderSet, arrival: str, folder: Path) -> list[Claim]:
    """The claim that made this folder; an empty folder is a claim without its rename, and is removed."""
    if claim := claim_without_row.claim_in(folders, arrival, folder):
        return [claim]
    with suppress(OSError):  # another process works on it
        folder.rmdir()
    return []


def _as_announced(claims: Sequence[Claim]) -> Iterator[Claim]:
    """The row of the first arrival has the id of the arrival that follows a late write. The sender is that of the
    first one: the files may be sealed since."""
    rows = Arrival.objects.filter(
        look_again_at__isnull=False, evidence__heir__in=[claim.id for claim in claims]
    )
    uids = {row.evidence["heir"]: row.evidence.get("uid") for row in rows}
    for claim in claims:
        uid = uids.get(claim.id)
        yield claim if uid is None else replace(claim, uid=uid)
