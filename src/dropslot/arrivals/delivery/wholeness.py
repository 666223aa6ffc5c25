"""What keeps an arrival in its inbox, asked once more of what was taken: a name may have come in between, and what was
given up is taken to be refused."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.delivery.work import Work
from dropslot.core.names import escape
from dropslot.watching import reasons
from dropslot.watching.temporary import TemporaryNames


def faults(work: Work) -> Iterator[str]:
    """A sentence for everything that says that the arrival is not whole, or of a kind that its route does not take."""
    listing, route = work.listing, work.route
    if not reasons.takes(route, is_folder=listing.is_folder):
        yield f"{escape(work.name)}: {reasons.of_other_kind(route, is_folder=listing.is_folder)}"
    elif listing.is_folder:
        temporary = TemporaryNames.of(route)
        paths = [item.path for item in listing.items] + [path for path, _ in listing.folders]
        for path in paths:
            if temporary.match_inside(path.rpartition("/")[2]):
                yield f"{reasons.of_unfinished(path)}. Send the arrival again"
        if not listing.items:
            yield f"{escape(work.name)}: {reasons.EMPTY}"
