"""Run failed arrivals again."""

from __future__ import annotations

from django.db import transaction

from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import Entry, append
from dropslot.core.errors import DropslotError
from dropslot.core.states import State


class NotFailed(DropslotError):
    """Only what failed, or waits for its next attempt, can be tried again."""

    code = "not-failed"


def retry(arrival: Arrival) -> None:
    """Put a failed arrival back into the queue, or a retrying one at its head.

    The next worker moves it from failed to processing. Raises NotFailed.
    """
    with transaction.atomic():
        changed = Arrival.objects.filter(id=arrival.id, state=State.FAILED).update(
            state=State.READY, due_at=None, finished_at=None, attempts=0
        ) or Arrival.objects.filter(id=arrival.id, state=State.RETRYING).update(due_at=None)
        if not changed:
            raise NotFailed(
                f"Arrival {arrival.id} is {arrival.state}, not failed",
                next_step="To deliver a finished one again, move it from done to the inbox",
            )
        append([Entry("retry-asked", arrival.id, {"reason": arrival.reason})])
