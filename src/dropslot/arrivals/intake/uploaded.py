"""Who sent what came through the portal. Its files belong to the service's own account, so the owner says nothing; a
row of `Upload` does, which the portal writes before the entry gets its final name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake.claim import Claim
from dropslot.arrivals.models import Arrival, Upload
from dropslot.core.names import escape


def by_accounts(claims: Sequence[Claim]) -> Mapping[str, Upload]:
    """The uploads among the claims, by the arrival's id; one query for all of them."""
    ours = [claim for claim in claims if claim.uid == os.geteuid()]
    if not ours:
        return {}
    inboxes = {str(claim.folders.inbox) for claim in ours}
    names = {escape(claim.name) for claim in ours}
    rows = Upload.objects.filter(inbox__in=inboxes, name__in=names)
    known = {(row.inbox, row.name, row.inode): row for row in rows}
    return {claim.id: row for claim in ours if known and (row := known.get(_key(claim)))}


def take_over(uploads: Mapping[str, Upload], arrivals: Sequence[Arrival]) -> None:
    """Give the arrivals their senders, and remove the rows. Call it in the transaction that records the arrivals."""
    if not uploads:
        return
    for arrival in arrivals:
        if arrival.id in uploads:
            arrival.sender = uploads[arrival.id].sender
    Upload.objects.filter(id__in=[upload.id for upload in uploads.values()]).delete()


def _key(claim: Claim) -> tuple[str, str, int]:
    inode = 0
    with suppress(OSError):  # moved on meanwhile
        inode = os.lstat(_path(claim)).st_ino
    return str(claim.folders.inbox), escape(claim.name), inode


def _path(claim: Claim) -> str:
    if claim.folders.route.leave_source:
        return os.path.join(claim.folders.inbox, claim.name)
    return os.path.join(whereabouts.held(claim.folders, claim.id, claim.epoch), claim.name)
