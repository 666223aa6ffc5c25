"""Every stored file against the SHA-256 it was delivered with."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.models import Delivery
from dropslot.audit import fixity
from dropslot.core.states import Outcome, State
from dropslot.destinations import read

PAGE = 2000


def check_all() -> fixity.FixityReport:
    """Read every file that a finished arrival delivered, once each."""
    return fixity.check(_rows(), read)


def _rows() -> Iterator[tuple[str, str, str]]:
    """By pages: a read that stays open for hours would keep SQLite's write-ahead log from being emptied."""
    rows = Delivery.objects.filter(outcome=Outcome.DELIVERED, arrival__state=State.DONE).order_by("id")
    after = 0
    while page := list(
        rows.filter(id__gt=after).values_list("id", "place__url", "stored_as", "sha256")[:PAGE]
    ):
        yield from (row[1:] for row in page)
        after = page[-1][0]
