"""The end of a round: the trail and the originals are examined, too, and the result is an event."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dropslot.arrivals import registry
from dropslot.arrivals.upkeep.rebuilding.signs import signs
from dropslot.audit import signing_key
from dropslot.audit.chain import append, timestamp
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.verifying import verify as audit
from dropslot.audit.verifying.verify import ChainReport
from dropslot.audit.visits import Verified
from dropslot.config import Config
from dropslot.core.addressing.addresses import place_of
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.originals import check_archives
from dropslot.keeping.fixity.put_off import PutOff
from dropslot.keeping.fixity.stored_files import stored
from dropslot.keeping.models import FixityRound

log = structlog.get_logger()
_SAID = 20


def end(config: Config, row: FixityRound, reader: Reader, check: Callable[[], None]) -> None:
    """Examine the trail, its time stamps and the originals, and end the round. After a crash it is done again."""
    trail = audit.chain(signers=signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS))
    check()
    others = list(registry.verified(config))
    check()
    originals = check_archives(config, read=True, check=check, digest=reader.digest_of)
    lost = list(signs(config))
    row.unread = unread(row.put_off)
    reports = [trail, *others, originals]
    said = [f"{fault.where}: {fault.what}" for report in reports for fault in report.faults]
    row.said = said[:_SAID] + lost
    faults = row.damaged + sum(report.found for report in reports) + len(lost)
    row.outcome = "faults" if faults or row.unread else "ok"
    _save(row, trail, faults)


def _save(row: FixityRound, trail: ChainReport, faults: int) -> None:
    data: Verified = {
        "by": "",
        "address": "",
        "at": timestamp(row.began_at),
        "what": "trail and files",
        "outcome": row.outcome,
        "events": trail.checked,
        "files": row.files - row.unread,
        "faults": faults,
        "head": str(trail.head),
    }
    if row.unread:
        data["unread"] = row.unread
    values = {"ended_at": timezone.now(), "unread": row.unread, "said": row.said, "outcome": row.outcome}
    with transaction.atomic():
        if FixityRound.objects.filter(id=row.id, ended_at=None).update(**values):
            append([entry(Kind.VERIFIED, "", data)])
    log.info("Every stored file was read", action="fixity_ended", round=row.id, outcome=row.outcome)


def unread(later: PutOff) -> int:
    """How many files are still to be read."""
    count = 0
    for place, ranges in later.items():
        for first, last in ranges["ranges"]:
            of_place = Q(place__url=place) | (
                Q(place__url__startswith=f"{place}/") if place_of(place) else Q()
            )
            count += stored().filter(of_place, id__range=(first, last)).count()
    return count
