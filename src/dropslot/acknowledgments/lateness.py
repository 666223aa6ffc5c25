"""Log readers that do not get on, for `health`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from dropslot.acknowledgments.models import LogReading
from dropslot.acknowledgments.schedule import LONGEST_WAIT_SECONDS
from dropslot.acknowledgments.section import entries
from dropslot.arrivals.registry import Late
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.troubles import TroubleKind


def late(config: Config) -> Iterator[Late]:
    """Logs whose last reading failed. Each failure is a row and a success without new lines is none, so an old
    failure has been overcome."""
    now = timezone.now()
    for route, entry in entries(config):
        rows = LogReading.objects.filter(route=route.key, log=entry.log)
        last = rows.order_by("-id").first()
        again = max(entry.every, timedelta(seconds=LONGEST_WAIT_SECONDS))
        if last is not None and last.error and last.started_at > now - 2 * again:
            about = f"log {escape(entry.log)}"
            what = f"it could not be read: {last.error}"
            yield Late(about, what, "dropslot log_readers", route.key, kind=TroubleKind.LOG_READER)
