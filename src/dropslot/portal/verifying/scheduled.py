"""What the scheduled reading of stored files has found, for the page."""

from __future__ import annotations

from typing import Any

from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.keeping.fixity.damage import file_of
from dropslot.keeping.fixity.stored_files import stored
from dropslot.keeping.models import Damage, FixityRound
from dropslot.keeping.section import fixity_of

_LISTED = 50


def facts(config: Config) -> dict[str, Any]:
    """The round that goes on, the one before, and the damaged files."""
    fixity = fixity_of(config)
    rows = Damage.objects.select_related("delivery__place").order_by("accepted_by", "since", "pk")
    count = rows.count()
    shown = [_damaged(row) for row in rows[:_LISTED]]
    return {
        "every": _in_words(fixity.every.total_seconds()) if fixity else "",
        **(_rounds() if fixity else {}),
        "damaged": shown,
        "damaged_count": count,
        "damaged_more": count - len(shown),
    }


def _in_words(seconds: float) -> str:
    days = seconds / 86400
    return f"{days:g} days" if days >= 2 and days == int(days) else f"{seconds / 3600:g} hours"


def _rounds() -> dict[str, Any]:
    last = FixityRound.objects.order_by("-id").first()
    ended = FixityRound.objects.exclude(ended_at=None).order_by("-id").first()
    total = stored().count()
    percent = min(100, 100 * last.files // total) if last and total else 0
    return {"round": last, "percent": percent, "previous": ended if ended != last else None}


def _damaged(row: Damage) -> dict[str, Any]:
    return {
        "arrival": row.delivery.arrival_id,
        "address": escape(file_of(row).address),
        "what": row.what,
        "since": row.since,
        "not_mended": row.not_mended,
        "accepted": f"{row.accepted_by}: {row.accepted_because}" if row.accepted_by else "",
    }
