"""What a worker does beside a large arrival, and who may help it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dropslot.arrivals.models import Arrival
from dropslot.files.writing.dense import go_on


@dataclass(frozen=True, slots=True)
class Crew:
    """`pause` is called between pieces of a large arrival: small ones are delivered then. `announce` wakes workers that
    may stage some of this arrival's shares, as many as there are; None: there are no others, or they would add nothing.
    `small_only`: a large arrival goes back into the queue."""

    pause: Callable[[], None] = go_on
    announce: Callable[[Arrival, int], None] | None = None
    small_only: bool = False
    worker: str = ""
    is_dead: Callable[[str], bool] = lambda _: False


ALONE = Crew()
SMALL_ONLY = Crew(small_only=True)
