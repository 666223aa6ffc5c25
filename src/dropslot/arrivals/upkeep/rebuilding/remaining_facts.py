"""When, where and why: what a receipt, an id or a file beside it still says of an arrival without a row."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from django.utils import timezone
from ulid import ULID

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake.claim import dropped_at
from dropslot.audit.receipts import Kept


def finished_at(kept: Kept) -> datetime:
    return moment(kept.receipt["finished_at"]) or timezone.now()


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def time_of_drop(arrival: str, kept: Kept | None) -> datetime:
    return moment(kept.about.get("dropped_at") if kept else None) or dropped_at(arrival)


def lies_at(arrival: str, archived: str) -> str:
    """Its path in done, if it is still there; not the planned path if another arrival was there first."""
    folder, name = os.path.split(archived)
    aside = os.path.join(folder, whereabouts.AGAIN, arrival, name)
    return next((path for path in (aside, archived) if archived and os.path.lexists(path)), "")


def received_at(arrival: str) -> datetime:
    return datetime.fromtimestamp(ULID.from_str(arrival).timestamp, UTC)


def reasons_beside(folder: Path, name: str) -> list[str]:
    """The reasons in the file beside a refused arrival."""
    try:
        lines = whereabouts.reason_file(folder, name).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]
