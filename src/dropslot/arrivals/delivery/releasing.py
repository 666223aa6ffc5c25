"""Routes with `release: manual`: an arrival that is judged whole is held until somebody sends it onward."""

from __future__ import annotations

from dropslot.arrivals.delivery import making
from dropslot.arrivals.delivery.work import Work
from dropslot.core.errors import NotReleased

RELEASED = "released"  # in the evidence of an arrival: when it was sent onward, and by whom
HELD = "It was checked and is whole. It waits until somebody sends it onward: `dropslot start_queue`"


def is_to_be_held(work: Work) -> bool:
    """Whether this attempt ends before anything of the arrival is published."""
    return work.route.release == "manual" and not work.committed and RELEASED not in work.arrival.evidence


def require_release(work: Work) -> None:
    """Raise NotReleased for an arrival that is to be held. What was made anew for it is removed: it is made once more
    when it is sent onward."""
    if is_to_be_held(work):
        making.discard(work.config, work.id)
        raise NotReleased(HELD, where="All of it is in processing")
