"""What is done now and then: messages of long ago are removed. The trail keeps that they were sent."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone

from dropslot.config import Config
from dropslot.notify.models import Message

KEPT = timedelta(days=90)
_SECONDS = 3600.0
_AT_ONCE = 500


class Hourly:
    """Once in an hour, by this process's clock."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def work(self, _: Config) -> None:
        """Do it if it is time. Raises DatabaseError."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _SECONDS
            remove_old()


def remove_old() -> int:
    """Remove messages that ended long ago, and what they told; returns how many messages, some at a time."""
    old = Message.objects.filter(ended_at__lt=timezone.now() - KEPT).order_by("ended_at")
    ids = list(old.values_list("pk", flat=True)[:_AT_ONCE])
    Message.objects.filter(pk__in=ids).delete()
    return len(ids)
