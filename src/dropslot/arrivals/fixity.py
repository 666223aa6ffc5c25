"""Every stored file against the SHA-256 it was delivered with."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.models import Delivery
from dropslot.audit import fixity
from dropslot.core.states import Outcome, State
from dropslot.destinations import read


def check_all() -> fixity.FixityReport:
    """Read every file that a finished arrival delivered, once each."""
    return fixity.check(_rows(), read)


def _rows() -> Iterator[tuple[str, str, str]]:
    rows = Delivery.objects.filter(outcome=Outcome.DELIVERED, arrival__state=State.DONE).order_by("id")
    return rows.values_list("place__url", "stored_as", "sha256").iterator(2000)
