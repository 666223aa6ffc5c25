"""When a summary is due, and of which days: also after a pause, and when clocks jump."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dropslot.notify.digests.periods import Every, due

_ZONE = ZoneInfo("America/Chicago")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=_ZONE)


@pytest.mark.parametrize(
    ("every", "now", "before", "words"),
    [
        ("daily", "2026-11-30 06:00", None, "29 November 2026"),
        ("daily", "2026-11-30 05:59", "2026-11-29 06:00", ""),
        ("daily", "2026-11-30 07:00", "2026-11-29 06:00", "29 November 2026"),
        ("daily", "2026-11-30 07:00", "2026-11-30 06:00", ""),
        ("daily", "2026-12-02 07:00", "2026-11-29 06:00", "29 November 2026 to 1 December 2026"),
        ("daily", "2027-02-01 07:00", "2026-11-29 06:00", "27 to 31 January 2027"),
        ("daily", "2026-11-29 07:00", "2026-11-30 06:00", ""),  # the clock was set back by a day
        ("daily", "2026-11-30 07:00", "2027-11-30 06:00", "29 November 2026"),  # it was a year ahead
        (
            "daily",
            "2026-11-02 07:00",
            "2026-11-01 06:00",
            "1 November 2026",
        ),  # 25 hours: the end of summer time
        ("weekly", "2026-11-30 07:00", None, "23 to 29 November 2026"),
        ("weekly", "2026-12-06 07:00", "2026-11-30 06:00", ""),
        ("weekly", "2026-12-07 06:00", "2026-11-30 06:00", "30 November 2026 to 6 December 2026"),
    ],
)
def test_a_summary_is_due_once_for_each_period(
    every: Every, now: str, before: str | None, words: str
) -> None:
    period = due(_at(now), every, _at(before) if before else None)
    assert (period.in_words() if period else "") == words
