"""Intent, names, manifest: data → names → manifest → record, and each arrow is durable before the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from dropslot.arrivals import ledger, plan
from dropslot.arrivals.inplace import fingerprint
from dropslot.arrivals.models import Adoption, Delivery, Place
from dropslot.arrivals.work import Leg, Row, Work
from dropslot.audit.chain import Entry, append
from dropslot.checks.bag import PAYLOAD
from dropslot.core import manifests
from dropslot.core.errors import DropslotError

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
        for work in works:
            try:
                with transaction.atomic():
                    _intend(work)
            except IntegrityError:
                work.failure = plan.in_flight("A name that it wants", "that came at the same time")
            except DropslotError as error:
                work.failure = error


def _intend(work: Work) -> None:
    intent = {leg.target.url: manifests.digest(leg.manifest) for leg in work.legs}
    evidence = work.arrival.evidence | ({"prefix": PAYLOAD} if work.bag else {})
    if work.arrival.in_place:
        evidence["seen"] = fingerprint(work.listing)
    ledger.update_held(
        work.hold, intent=intent, items=_items(work), size_bytes=_bytes(work), evidence=evidence
    )
    if work.committed:
        Delivery.objects.filter(arrival_id=work.id).delete()
    for leg in work.legs:
        leg.place = leg.place or Place.objects.get_or_create(url=leg.target.url)[0]
        _adopt(leg)
        insert(work, leg, leg.rows)
    append(_notable(work))
    work.arrival.intent = intent


def _items(work: Work) -> int:
    return len(work.legs[0].rows) if work.legs else 0


def _bytes(work: Work) -> int:
    return sum(row.size_bytes for row in work.legs[0].rows) if work.legs else 0


def insert(work: Work, leg: Leg, rows: Iterable[Row]) -> None:
    """Write delivery rows. By hand: Django's bulk_create takes five times as long for 100,000 rows."""
    assert leg.place is not None
    place = leg.place.pk
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, [(work.id, place, *row, "") for row in rows])


def _adopt(leg: Leg) -> None:
    """Keep what was found as version 1, unless another arrival of this batch did already."""
    assert leg.place is not None
    names = [name for name, _, _ in leg.adopted]
    known = set(
        Adoption.objects.filter(place=leg.place, stored_as__in=names).values_list("stored_as", flat=True)
    )
    leg.adopted = [found for found in leg.adopted if found[0] not in known]
    now = timezone.now()
    Adoption.objects.bulk_create(
        Adoption(place=leg.place, stored_as=name, sha256=sha256, size_bytes=size, at=now)
        for name, sha256, size in leg.adopted
    )


def _notable(work: Work) -> list[Entry]:
    """What was found at the targets: files from before dropslot, and delivered ones that somebody changed."""
    entries = []
    for leg in work.legs:
        if leg.adopted:
            adopted = [{"stored_as": name, "sha256": sha256} for name, sha256, _ in leg.adopted]
            entries.append(Entry("adopted", work.id, {"destination": leg.target.url, "files": adopted}))
        if leg.altered:
            entries.append(Entry("altered", work.id, {"destination": leg.target.url, "files": leg.altered}))
    return entries


def publish(work: Work) -> None:
    """Give every staged item its name. Names that somebody took since the plan get the next number, and the ledger
    and the manifest follow before they are published."""
    for leg in work.legs:
        while taken := leg.drop.publish(leg.publish):
            renamed = plan.renumber(leg, [planned.stored_as for planned in taken])
            with transaction.atomic():
                _rename(work, leg, list(renamed.values()))


def _rename(work: Work, leg: Leg, rows: Sequence[Row]) -> None:
    intent = {leg.target.url: manifests.digest(leg.manifest) for leg in work.legs}
    ledger.update_held(work.hold, intent=intent)
    for row in rows:
        Delivery.objects.filter(arrival_id=work.id, place=leg.place, item=row.item).update(
            stored_as=row.stored_as, version=row.version
        )
    work.arrival.intent = intent
