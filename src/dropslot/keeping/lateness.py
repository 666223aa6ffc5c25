"""What keeping has to report, for `health`: damaged files, a reading that is late, what could not be removed."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from dropslot.arrivals.registry import Late
from dropslot.config import Config
from dropslot.core.showing.quantities import counted
from dropslot.core.troubles import TroubleKind
from dropslot.keeping.fixity.rounds import behind_by
from dropslot.keeping.models import Damage, FixityRound, KeptOriginal
from dropslot.keeping.section import fixity_of

_PLACES = 20


def late(config: Config) -> Iterator[Late]:
    """A few small tables; no stored file is looked at. Counts only: names may be patients', and what is said is the
    subject of mails. The remedies name the commands that list them."""
    yield from _damaged()
    yield from _kept()
    if fixity_of(config) is not None:
        yield from _rounds(config)


def _damaged() -> Iterator[Late]:
    rows = Damage.objects.filter(accepted_by="").order_by()
    found = rows.values("delivery__arrival__route").annotate(count=Count("pk"), since=Min("since"))
    for each in found.order_by("-count")[:_PLACES]:
        route = each["delivery__arrival__route"]
        what = f"{counted(each['count'], 'stored file')} damaged, missing or not readable"
        about = f"stored files of route {route}"
        remedy = "dropslot damaged; then find out who or what did it, and dropslot mend"
        yield Late(about, what, remedy, route, kind=TroubleKind.FIXITY, since=each["since"])


def _kept() -> Iterator[Late]:
    rows = KeptOriginal.objects.filter(attempts__gt=1).exclude(arrival__archived_as="").order_by()
    for each in rows.values("arrival__route").annotate(count=Count("pk")):
        what = f"{counted(each['count'], 'original')} cannot be removed"
        yield Late(
            f"done of route {each['arrival__route']}",
            what,
            "dropslot purge --older-than 30d --dry-run names them all",
            each["arrival__route"],
            kind=TroubleKind.RETENTION,
        )


def _rounds(config: Config) -> Iterator[Late]:
    fixity = fixity_of(config)
    last = FixityRound.objects.order_by("-id").first()
    if fixity is None or last is None:
        return
    now = timezone.now()
    if behind := behind_by(last, fixity, now):
        what = f"{counted(last.files, 'stored file')} read since {last.began_at:%Y-%m-%d}; that should have been all"
        remedy = "see whether the service runs; raise `fixity: {rate}`, or give it more time by `every`"
        yield Late("fixity", f"{what} {behind.days} days ago", remedy, kind=TroubleKind.FIXITY)
    ended = last if last.ended_at else FixityRound.objects.exclude(ended_at=None).order_by("-id").first()
    if ended is None:
        return
    if ended.unread:
        what = f"{counted(ended.unread, 'stored file')} could not be read in the last round"
        remedy = "dropslot verify --fixity says why; it is tried again in this round"
        yield Late("fixity of destinations that did not answer", what, remedy, kind=TroubleKind.FIXITY)
    if ended.said:
        what = counted(len(ended.said), "fault")
        yield Late("trail and originals", what, "dropslot verify", kind=TroubleKind.CHAIN)
