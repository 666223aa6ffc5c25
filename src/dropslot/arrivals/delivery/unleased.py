"""Arrivals that were read without a lease: what is recorded so that they can be compared again later."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from dropslot.arrivals.models import Arrival
from dropslot.files.listing import Listing

FIRST_LOOK = timedelta(minutes=1)


def fingerprint(listing: Listing) -> str:
    """SHA-256 over what a cheap look compares. No inode: some network file systems number anew."""
    digest = hashlib.sha256()
    for item in listing.items:
        # The move to done gives a single file another ctime.
        ctime = item.ctime_ns if listing.is_folder else 0
        digest.update(
            repr((item.path, item.size_bytes, item.mtime_ns, ctime)).encode("utf-8", "surrogateescape")
        )
    return digest.hexdigest()


def first_look(arrival: Arrival, finished: datetime) -> datetime | None:
    """When an arrival is to be compared for the first time; None when all of it was read under leases."""
    return finished + FIRST_LOOK if "unleased" in arrival.evidence else None
