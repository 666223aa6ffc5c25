"""How long there will be no work without any event: for who is woken by events, and need not look each second. By the
database's clock, which set the times.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, F, Min, QuerySet, When
from django.db.models.functions import Coalesce, Now

from dropslot.arrivals.models import AfterCall, Arrival, ReceiptCopy
from dropslot.core.states import State

_ON_THE_WAY = (State.READY, State.PROCESSING, State.RETRYING)
_NEVER = float("inf")
SOON_SECONDS = 1.0


def until_arrivals() -> float:
    """Seconds until an arrival is due again, or is to be compared again. While others are being worked on it is soon:
    their worker may die."""
    waiting = Arrival.objects.filter(state__in=_ON_THE_WAY, held_at__isnull=True)
    if waiting.filter(state__in=(State.READY, State.PROCESSING), due_at__isnull=True).order_by().exists():
        return SOON_SECONDS  # it can be no less; a long backlog need not be read
    when = Case(When(state=State.PROCESSING, then=Now()), default=Coalesce(F("due_at"), Now()))
    comparing = Arrival.objects.filter(look_again_at__isnull=False)
    return min(_until(waiting, when), _until(comparing, F("look_again_at")))


def until_calls() -> float:
    """Seconds until a call after a delivery is due."""
    return _until(AfterCall.objects.filter(due_at__isnull=False), F("due_at"))


def until_receipts() -> float:
    """Seconds until a sender's receipt is due."""
    return _until(ReceiptCopy.objects.filter(due_at__isnull=False), F("due_at"))


def _until(rows: QuerySet[Any], when: Any) -> float:
    left = rows.order_by().aggregate(left=Min(when) - Now())["left"]
    return _NEVER if left is None else max(left.total_seconds(), SOON_SECONDS)
