"""Routes with `release: manual`: an arrival that is judged whole is held until somebody sends it onward."""

from __future__ import annotations

from typing import NoReturn

from dropslot.arrivals.delivery import make_anew
from dropslot.arrivals.delivery.work import Work
from dropslot.core.errors import NotReleased

HELD = "It was checked and is whole. It waits until somebody sends it onward: `dropslot start_queue`"


def hold_back(work: Work) -> NoReturn:
    """Raise NotReleased for an arrival that is to be held. What was made anew for it is removed: it is made once more
    when it is sent onward."""
    make_anew.discard(work.config, work.id)
    raise NotReleased(HELD, where="All of it is in processing")
