"""Legal holds: of an arrival under one nothing is removed, neither by a schedule nor by `purge`."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.core.errors import DropslotError
from dropslot.keeping.models import KeptOriginal, LegalHold

LONGEST_REASON = 1000


class OnLegalHold(DropslotError):
    """An arrival is under a legal hold: nothing of it is removed."""

    code = "on-legal-hold"


class HoldUnchanged(DropslotError):
    """An arrival is under a legal hold already, or is under none that could be released."""

    code = "hold-unchanged"


def hold(arrival: Arrival, *, reason: str, by: str) -> None:
    """Put an arrival under a legal hold. A removal takes the same row when it begins: it finds the hold, and removes
    nothing; or it has begun before, and is finished. Raises HoldUnchanged."""
    with transaction.atomic():
        Arrival.objects.select_for_update().get(pk=arrival.pk)
        _, is_new = LegalHold.objects.get_or_create(
            arrival=arrival, defaults={"reason": reason, "by": by, "since": timezone.now()}
        )
        if not is_new:
            raise HoldUnchanged(f"Arrival {arrival.pk} ({arrival.name}) is under a legal hold already")
        append([entry(Kind.LEGAL_HOLD, arrival.pk, {"reason": reason, "by": by})])


def release(arrival: Arrival, *, reason: str, by: str) -> None:
    """End the legal hold of an arrival. Raises HoldUnchanged."""
    with transaction.atomic():
        Arrival.objects.select_for_update().get(pk=arrival.pk)
        if not LegalHold.objects.filter(arrival=arrival).delete()[0]:
            raise HoldUnchanged(f"Arrival {arrival.pk} ({arrival.name}) is under no legal hold")
        KeptOriginal.objects.filter(arrival=arrival).delete()
        append([entry(Kind.LEGAL_HOLD_RELEASED, arrival.pk, {"reason": reason, "by": by})])


def require_no_hold(arrival: Arrival) -> None:
    """Raise OnLegalHold if an arrival is under one, or if it has the original of one that is: what a sender wrote after
    the delivery goes on as an arrival of its own."""
    if found := LegalHold.objects.filter(arrival=arrival).first():
        raise _held("It", found)
    for each in LegalHold.objects.filter(arrival__evidence__has_key="heir").select_related("arrival"):
        if arrival.pk in _heirs(each.arrival):
            raise _held(f"It has the original of arrival {each.arrival_id}, which", each)


def _heirs(arrival: Arrival | None) -> Iterator[str]:
    """The arrivals that an original went on as, one after another."""
    while arrival is not None and (heir := arrival.evidence.get("heir")):
        yield heir
        arrival = Arrival.objects.filter(pk=heir).first()


def require_no_hold_at(archived_as: str) -> None:
    """Raise OnLegalHold if any arrival whose original is recorded to lie there is under one."""
    if found := LegalHold.objects.filter(arrival__archived_as=archived_as).first():
        raise _held(f"Its original belongs to arrival {found.arrival_id}, too, which", found)


def _held(what: str, found: LegalHold) -> OnLegalHold:
    return OnLegalHold(
        f"{what} is under a legal hold since {found.since:%Y-%m-%d}, by {found.by}: {found.reason}",
        where="Nothing of it was removed",
        next_step=f"When the hold is over: dropslot hold {found.arrival_id} --release --reason 'WHY'",
    )
