"""What a proof says: what, when, who, versions, who fetched it, what was proved and what was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Sum
from django.utils import timezone

from dropslot.access.payloads.open_payload import PROVED_FIRST_BYTES
from dropslot.access.seen import Access
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import receipts
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event, Receipt
from dropslot.core.states import Outcome
from dropslot.destinations.base import ONLY_ACKNOWLEDGED, SAID
from dropslot.portal.proof import seals
from dropslot.portal.proof.seals import LISTED, Seal

READ_FILES = 100  # of an arrival, for its proof
MANIFEST_ITEMS = 5000  # of larger arrivals the bundle has the manifest; a page must not wait for it

_PROVED = {
    receipts.SOURCE_COMPARED: "Names, sizes and times at the source were the same before and after it was read.",
    receipts.SOURCE_LEASED: "No program had any of its files open for writing while they were read.",
    receipts.BAG_VALIDATED: "The sender's own digests (a bag) fit: what was delivered is what the sender had.",
}


@dataclass
class Proof:
    """For templates. `delivery` None: of the arrival as a whole. `receipt` None: there is none, or it tells of files
    that this account may not see."""

    arrival: Arrival
    delivery: Delivery | None
    deliveries: list[Delivery]
    count: int
    receipt: Receipt | None
    event: Event | None
    seals: list[Seal] = field(default_factory=list)
    fetches: list[Acknowledgment] = field(default_factory=list)
    fetched: int = 0
    versions: list[Delivery] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    is_read: bool = False  # whether the stored files were read for this proof
    made_at: datetime = field(default_factory=timezone.now)

    @property
    def body(self) -> dict[str, Any]:
        """What the receipt says; empty without one."""
        return dict(json.loads(self.receipt.body)) if self.receipt else {}

    @property
    def proved(self) -> list[str]:
        """Sentences."""
        said: list[str] = self.body.get("guarantees", [])
        return [
            "SHA-256 was taken over the bytes that were written, and nothing was replaced by them.",
            *(_PROVED.get(each, f"{each[:1].upper()}{each[1:]}.") for each in said if not _limits(each)),
        ]

    @property
    def not_proved(self) -> list[str]:
        """Sentences."""
        return list(self._not_proved())

    def _not_proved(self) -> Iterator[str]:
        said = self.body.get("guarantees", [])
        if self.receipt is None:
            yield "Nothing is signed here: this account may not see the receipt, or there is none."
        elif receipts.BAG_VALIDATED not in said:
            yield "That the sender had the same bytes: no digests of the sender's own (a bag) came with them."
        if self.receipt is not None and receipts.SOURCE_LEASED not in said:
            yield "That no program wrote to the source meanwhile and set its times back."
        if self.delivery is not None and self.delivery.source_sha256:
            yield f"The file was made anew; its source had SHA-256 {self.delivery.source_sha256}."
        yield from (f"{each[:1].upper()}{each[1:]}." for each in said if _limits(each))
        if not self.is_read:
            yield "That the file at its destination is unchanged today: “Verify now” reads it again."


def _limits(guarantee: str) -> bool:
    """Whether an entry of the receipt says what is not as at the source."""
    return guarantee.startswith((ONLY_ACKNOWLEDGED, SAID, "times:", "items:"))


def of_delivery(access: Access, delivery: Delivery) -> Proof:
    """The proof of one file, as far as the account may see it. `delivery` has its arrival and place."""
    proof = _of(access, delivery.arrival, delivery)
    same = Delivery.objects.filter(place=delivery.place, item=delivery.item, outcome=Outcome.DELIVERED)
    proof.versions = list(same.select_related("arrival").order_by("-version")[: LISTED + 1])
    if proof.receipt and (delivery.arrival.items or 0) <= MANIFEST_ITEMS:
        manifest = seals.manifest_of(delivery.arrival_id, delivery.place_id)
        proof.seals.append(seals.covered(proof.receipt, delivery.place.url, manifest))
    return proof


def of_arrival(access: Access, arrival: Arrival) -> Proof:
    """The proof of a finished arrival."""
    proof = _of(access, arrival, None)
    if proof.receipt and proof.count <= MANIFEST_ITEMS:
        places = {row.place_id: row.place.url for row in arrival.deliveries.select_related("place")}
        for place, url in places.items():
            proof.seals.append(seals.covered(proof.receipt, url, seals.manifest_of(arrival.id, place)))
        proof.seals = list(dict.fromkeys(proof.seals))
    return proof


def _of(access: Access, arrival: Arrival, delivery: Delivery | None) -> Proof:
    seen = access.deliveries().filter(arrival=arrival).select_related("place").order_by("pk")
    receipt = receipt_for(access, arrival)
    event = Event.objects.filter(arrival=arrival.id, kind=Kind.DELIVERED).order_by("-seq").first()
    fetches = access.acknowledgments().filter(undone_at__isnull=True).order_by("at", "id")
    fetches = fetches.filter(delivery=delivery) if delivery else fetches.filter(delivery__in=seen.order_by())
    proof = Proof(
        arrival=arrival,
        delivery=delivery,
        deliveries=[delivery] if delivery else list(seen[: 2 * LISTED + 1]),
        count=1 if delivery else seen.count(),
        receipt=receipt,
        event=event,
        fetches=list(fetches.select_related("delivery")[: LISTED + 1]),
        fetched=fetches.count(),
        fingerprints=seals.fingerprints(access.config)[:2],
    )
    if receipt is not None:
        proof.seals.append(seals.signature(access.config, receipt))
    if event is not None:
        proof.seals.append(seals.place_in_chain(arrival.id, receipt))
    if (is_read := seals.stored(_to_read(proof, seen))) is not None:
        proof.seals.append(is_read)
        proof.is_read = True
    return proof


def _to_read(proof: Proof, seen: QuerySet[Delivery]) -> list[Delivery]:
    """The deliveries whose stored files are read for the proof: none if a page would wait for them."""
    if proof.delivery:
        return [proof.delivery]
    size = seen.order_by().aggregate(size=Sum("size_bytes"))["size"] or 0
    return list(seen) if proof.count <= READ_FILES and size <= PROVED_FIRST_BYTES else []


def receipt_for(access: Access, arrival: Arrival) -> Receipt | None:
    """The receipt, for who sees the arrival, or all of its deliveries: it names the others, too."""
    if not access.receipts().filter(arrival=arrival.id).exists() and not sees_all_of(access, arrival):
        return None
    return Receipt.objects.filter(arrival=arrival.id).first()


def sees_all_of(access: Access, arrival: Arrival, place: int | None = None) -> bool:
    """Whether no delivery of the arrival (at one place) is hidden from the account."""
    rows = Delivery.objects.filter(arrival=arrival)
    if place is not None:
        rows = rows.filter(place=place)
    return not rows.exclude(
        pk__in=access.deliveries().filter(arrival=arrival).order_by().values("pk")
    ).exists()
