"""Intent, names, manifest: data → names → manifest → record, and each arrow is durable before the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from dropslot.arrivals import ledger, places, plan
from dropslot.arrivals.inplace import fingerprint
from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.arrivals.work import Leg, Row, Work
from dropslot.audit.chain import Entry, append
from dropslot.checks.bag import PAYLOAD
from dropslot.core import manifests
from dropslot.core.errors import TakenOver

LISTED = 100
_COLUMNS = (
    "arrival_id, place_id, item, stored_as, version, outcome, superseded, sha256, size_bytes, mtime_ns, mime"
)
_INSERT = f"INSERT INTO dropslot_delivery ({_COLUMNS}) VALUES ({', '.join(['%s'] * 11)})"


def intend(works: Sequence[Work]) -> None:
    """Reserve all names and write down what is about to be published, in one commit; a work that cannot gets its
    `failure`. After the commit nothing of these arrivals is refused any more."""
    if not works:
        return
    with transaction.atomic():
        if not _reserved(works):
            # One of them stands in the way: each by itself, so that only that one fails.
            for work in works:
                _reserved([work])
        # Last: the chain has one writer at a time, and rows are locked before it.
        append([entry for work in works if work.failure is None for entry in _notable(work)])


def _reserved(works: Sequence[Work]) -> bool:
    """Reserve the names of these works, or of none; False and the `failure` of a single one that cannot."""
    try:
        with transaction.atomic():
            _reserve(works)
    except (IntegrityError, TakenOver) as error:
        if len(works) == 1:
            taken = plan.in_flight("A name that it wants", "that came at the same time")
            works[0].failure = error if isinstance(error, TakenOver) else taken
        return False
    return True


def _reserve(works: Sequence[Work]) -> None:
    again = [work.id for work in works if work.committed]
    intents = [_intent(work) for work in works]
    ledger.update_all(works, _INTENT, intents)
    if again:
        Delivery.objects.filter(arrival_id__in=again).delete()
    for work, values in zip(works, intents, strict=True):
        for leg in work.legs:
            leg.place = leg.place or _place(works, leg)
            _adopt(leg)
        work.arrival.intent, work.arrival.evidence, work.arrival.archived_as = values[0], values[3], values[4]
    insert([(work, leg) for work in works for leg in work.legs])


_INTENT = ("intent", "items", "size_bytes", "evidence", "archived_as")


def _intent(work: Work) -> tuple[Any, ...]:
    """The columns `_INTENT` of a work that is about to be published."""
    evidence = work.arrival.evidence | ({"prefix": PAYLOAD} if work.bag else {})
    if work.arrival.in_place:
        evidence["seen"] = fingerprint(work.listing)
    rows = work.legs[0].rows
    archive = "" if work.arrival.in_place else str(places.archive_name(work.folders, work.id, work.name))
    return _manifests(work), len(rows), sum(row.size_bytes for row in rows), evidence, archive


def _manifests(work: Work) -> dict[str, str]:
    return {leg.target.url: manifests.digest(leg.manifest) for leg in work.legs}


def _place(works: Sequence[Work], leg: Leg) -> Place:
    known = (other.place for work in works for other in work.legs if other.target.url == leg.target.url)
    return next(filter(None, known), None) or Place.objects.get_or_create(url=leg.target.url)[0]


def insert(pairs: Sequence[tuple[Work, Leg]]) -> None:
    """Write delivery rows. By hand: Django's bulk_create takes five times as long for 100,000 rows."""
    rows = [(work.id, leg.place.pk, *row, "") for work, leg in pairs if leg.place for row in leg.rows]
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)


def _adopt(leg: Leg) -> None:
    """Keep what was found as version 1, unless another arrival of this batch did already."""
    if not leg.adopted:
        return
    names = [name for name, _, _ in leg.adopted]
    kept = Adoption.objects.filter(place=leg.place, stored_as__in=names).values_list("stored_as", flat=True)
    leg.adopted = [found for found in leg.adopted if found[0] not in set(kept)]
    Adoption.objects.bulk_create(
        Adoption(place=leg.place, stored_as=name, sha256=sha256, size_bytes=size, at=timezone.now())
        for name, sha256, size in leg.adopted
    )


def _notable(work: Work) -> list[Entry]:
    """What was found at the targets: files from before dropslot, and delivered ones that somebody changed."""
    entries = []
    for leg in work.legs:
        if leg.adopted:
            adopted = [{"stored_as": name, "sha256": sha256} for name, sha256, _ in leg.adopted]
            entries.append(_files_entry("adopted", work, leg, adopted))
        if leg.altered:
            entries.append(_files_entry("altered", work, leg, leg.altered))
    return entries


def _files_entry(kind: str, work: Work, leg: Leg, files: list[dict[str, str]]) -> Entry:
    # An event of a folder with a hundred thousand files must stay readable; the ledger has them all.
    data = {"destination": leg.target.url, "count": len(files), "files": files[:LISTED]}
    return Entry(kind, work.id, data)


def publish(work: Work) -> None:
    """Give every staged item its name. Names that somebody took since the plan get the next number, and the ledger
    and the manifest follow before they are published."""
    for leg in work.legs:
        while taken := leg.drop.publish(leg.publish):
            renamed = plan.renumber(leg, [planned.stored_as for planned in taken])
            with transaction.atomic():
                _rename(work, leg, list(renamed.values()))


def _rename(work: Work, leg: Leg, rows: Sequence[Row]) -> None:
    intent = _manifests(work)
    ledger.update_held(work.hold, intent=intent)
    for row in rows:
        Delivery.objects.filter(arrival_id=work.id, place=leg.place, item=row.item).update(
            stored_as=row.stored_as, version=row.version
        )
    work.arrival.intent = intent
