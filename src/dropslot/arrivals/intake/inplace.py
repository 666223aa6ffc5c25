"""`leave_source`: arrivals that are read in their place. A later change of one is a revision."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from dropslot.arrivals.intake.claim import Claim, new_id, time_of_drop
from dropslot.arrivals.models import Arrival
from dropslot.config.route_folders import FolderSet
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape
from dropslot.core.states import UNFINISHED
from dropslot.files.listing import Listing
from dropslot.files.walk import list_arrival
from dropslot.watching.entries import Judged


def fingerprint(listing: Listing) -> str:
    """SHA-256 over names, sizes, times and inodes: it differs if anything but litter was changed. Litter that a bag
    lists does not count either: a claim does not read manifests."""
    digest = hashlib.sha256()
    litter = listing.litter
    for item in listing.items:
        if not (litter.keeps and litter.is_named(item.path)):
            digest.update(repr(tuple(item)).encode("utf-8", "surrogateescape") + b"\n")
    for path, _ in listing.folders:
        if litter.keeps and litter.is_named(path):
            continue
        digest.update(repr(path).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def claim_in_place(folders: FolderSet, judged: Judged) -> Claim | None:
    """A claim on an entry of the inbox; None if it was delivered (or refused) in its present state. Raises
    NameInFlight while it is being delivered: a change since it was read shows only afterwards.
    """
    last = last_of(folders, judged.name)
    if last is not None and last.state in UNFINISHED:
        raise NameInFlight(f"{escape(judged.name)} is being processed as arrival {last.id}")
    listing = list_arrival(folders.inbox / judged.name, folders.route.litter)
    seen = fingerprint(listing)
    if last is not None and last.evidence.get("seen") == seen:
        return None
    size = None if judged.is_folder else judged.size_bytes
    now = datetime.now(UTC)
    # A change inside a folder may leave the folder's own times unchanged, so a revision's time of drop is now.
    dropped = time_of_drop(max([judged.ctime_ns, *(item.ctime_ns for item in listing.items)]))
    facts = (judged.name, judged.is_folder, judged.uid, size, now)
    return Claim(new_id(), folders, *facts, {"seen": seen}, dropped)


def is_known(claim: Claim) -> bool:
    """Whether another process has claimed it in its present state. Call it in the transaction that records the claim:
    nothing was moved, so nothing else stops two processes from taking it."""
    last = last_of(claim.folders, claim.name)
    return last is not None and last.id != claim.id and last.evidence.get("seen") == claim.evidence["seen"]


def last_of(folders: FolderSet, name: str) -> Arrival | None:
    """The newest revision of an entry."""
    rows = Arrival.objects.filter(route=folders.route.key, inbox=str(folders.inbox), name=escape(name))
    return rows.order_by("-id").first()
