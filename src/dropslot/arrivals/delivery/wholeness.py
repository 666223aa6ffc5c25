"""Asks again, after the claim, what would have kept an arrival in its inbox. A name may have appeared in between,
and an entry that was given up is claimed only to be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter

from dropslot.arrivals.delivery.work import Work
from dropslot.core.names import escape
from dropslot.files.walk import MAX_FAULTS
from dropslot.watching import reasons
from dropslot.watching.temporary import TemporaryNames


def faults(work: Work) -> Iterator[str]:
    """A sentence for everything that says that the arrival is not whole, or of a kind that its route does not take;
    MAX_FAULTS of them at most."""
    listing, route = work.listing, work.route
    if not reasons.takes(route, is_folder=listing.is_folder):
        yield f"{escape(work.name)}: {reasons.of_other_kind(route, is_folder=listing.is_folder)}"
    elif listing.is_folder:
        is_unfinished = TemporaryNames.of(route).asked_inside
        paths = map(itemgetter(0), chain(listing.items, listing.folders))
        unfinished = (path for path in paths if is_unfinished(path.rpartition("/")[2]))
        for path in islice(unfinished, MAX_FAULTS):
            yield f"{reasons.of_unfinished(path)}. Send the arrival again"
        if not listing.items:
            yield f"{escape(work.name)}: {reasons.EMPTY}"
