"""What can be verified now about one arrival: its receipt's signature, its place in the chain, its manifests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from dropslot.access.payloads.open_payload import is_as_delivered
from dropslot.arrivals.models import Delivery
from dropslot.audit import signing_key
from dropslot.audit.chain import GENESIS, hash_of
from dropslot.audit.models import Event, Receipt
from dropslot.config import Config
from dropslot.core import manifests
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE, fingerprint

EVENTS = 2000  # of one arrival that a page looks at
LISTED = 5


class Seal(NamedTuple):
    """One finding. `is_good` None: it could not be verified here, and the words say why."""

    is_good: bool | None
    words: str


def signature(config: Config, receipt: Receipt) -> Seal:
    """Whether the receipt was signed with a key of this installation, and not changed since."""
    path = config.keys / signing_key.ALLOWED_SIGNERS
    try:
        allowed = signing_key.allowed_signers(path)
        sshsig.verify(receipt.signature, NAMESPACE, receipt.body.encode("utf-8"), allowed)
    except (sshsig.BadSignature, signing_key.KeyFault, OSError) as error:
        return Seal(False, f"The signature is not valid: {error}")
    return Seal(True, "The signature is valid")


def fingerprints(config: Config) -> list[str]:
    """The public keys that sign here, as `ssh-keygen -l` shows them."""
    try:
        blobs = signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS)
    except (signing_key.KeyFault, OSError):
        return []
    return [fingerprint(blob) for blob in sorted(blobs)]


def previous_hash(event: Event) -> str:
    """The hash of the event before; 64 zeros before the first one."""
    if event.seq == 1:
        return GENESIS.hash
    return Event.objects.filter(seq=event.seq - 1).values_list("hash", flat=True).first() or ""


def place_in_chain(arrival: str, receipt: Receipt | None) -> Seal:
    """Whether the hashes of the arrival's events fit, and the head that the receipt names is still in the chain."""
    events = list(Event.objects.filter(arrival=arrival).order_by("-seq")[:EVENTS])
    before = _hashes_before(events)
    for event in events:
        fits = hash_of(before.get(event.seq, ""), event.seq, event.at, event.kind, event.arrival, event.data)
        if fits != event.hash:
            return Seal(False, f"The hash does not fit: event {event.seq} was changed, or the one before it")
    whose = (
        f"The hashes of its newest {EVENTS:,} events" if len(events) == EVENTS else "The hashes of its events"
    )
    whose += " fit"
    if receipt is None:
        return Seal(None, whose)
    head = json.loads(receipt.body)["head"]
    if not Event.objects.filter(seq=head["seq"], hash=head["hash"]).exists():
        return Seal(False, f"The receipt proves an event {head['seq']} that the chain does not have")
    return Seal(True, f"{whose}, and the chain has the head that the receipt names")


def _hashes_before(events: Sequence[Event]) -> dict[int, str]:
    """The hash before each event, by its number; 64 zeros before the first one."""
    found = {1: GENESIS.hash}
    for some in chunks([event.seq - 1 for event in events], CHUNK):
        rows = Event.objects.filter(seq__in=some).values_list("seq", "hash")
        found |= {seq + 1: digest for seq, digest in rows}
    return found


def stored(deliveries: Sequence[Delivery]) -> Seal | None:
    """Whether the stored files have the bytes that were delivered, by reading them. None: that cannot be told here."""
    if not deliveries:
        return None
    told = [is_as_delivered(delivery) for delivery in deliveries]
    changed = [row.stored_as for row, is_good in zip(deliveries, told, strict=True) if is_good is False]
    if changed:
        return Seal(False, f"Not as it was delivered: {', '.join(map(escape, changed[:LISTED]))}")
    if None in told:
        return None
    if len(told) == 1:
        return Seal(True, "The stored file was read now and has this SHA-256")
    return Seal(True, f"All {len(told)} stored files were read now and have the SHA-256 of the record")


def manifest_of(arrival: str, place: int) -> str:
    """The manifest of one arrival at one destination, from the record."""
    rows = Delivery.objects.filter(arrival=arrival, place=place).order_by("id")
    return manifests.write(rows.values_list("sha256", "stored_as").iterator(2000))


def covered(receipt: Receipt, place_url: str, manifest: str) -> Seal:
    """Whether the signed receipt names just this manifest, and so covers each SHA-256 in it."""
    named: dict[str, Any] = json.loads(receipt.body)["manifests"]
    if named.get(place_url) == manifests.digest(manifest):
        return Seal(True, "The signed receipt covers this SHA-256 and name, by the manifest that it names")
    return Seal(False, "The record differs from the manifest that the signed receipt names")
