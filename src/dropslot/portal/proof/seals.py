"""What can be verified now about one arrival: its receipt's signature, its place in the chain, its manifests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple

from dropslot.arrivals.models import Delivery
from dropslot.audit import signing_key, sshsig
from dropslot.audit.chain import GENESIS, hash_of
from dropslot.audit.models import Event, Receipt
from dropslot.config import Config
from dropslot.core import manifests


class Seal(NamedTuple):
    """One finding. `is_good` None: it could not be verified here, and the words say why."""

    is_good: bool | None
    words: str


def signature(config: Config, receipt: Receipt) -> Seal:
    """Whether the receipt was signed with a key of this installation, and not changed since."""
    path = config.keys / signing_key.ALLOWED_SIGNERS
    try:
        allowed = signing_key.allowed_signers(path)
        sshsig.verify(receipt.signature, signing_key.NAMESPACE, receipt.body.encode("utf-8"), allowed)
    except (sshsig.BadSignature, signing_key.KeyFault, OSError) as error:
        return Seal(False, f"The signature is not valid: {error}")
    return Seal(True, "The signature is valid")


def fingerprints(config: Config) -> list[str]:
    """The public keys that sign here, as `ssh-keygen -l` shows them."""
    try:
        blobs = signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS)
    except (signing_key.KeyFault, OSError):
        return []
    digests = (base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii") for blob in sorted(blobs))
    return [f"SHA256:{digest.rstrip('=')}" for digest in digests]


def previous_hash(event: Event) -> str:
    """The hash of the event before; 64 zeros before the first one."""
    if event.seq == 1:
        return GENESIS.hash
    return Event.objects.filter(seq=event.seq - 1).values_list("hash", flat=True).first() or ""


def place_in_chain(event: Event, receipt: Receipt | None) -> Seal:
    """Whether the event's hash fits, and the head that the receipt names is still in the chain."""
    fits = hash_of(previous_hash(event), event.seq, event.at, event.kind, event.arrival, event.data)
    if fits != event.hash:
        return Seal(False, "The hash of the event does not fit: it, or the event before it, was changed")
    if receipt is None:
        return Seal(None, "The hash of the event fits")
    head = json.loads(receipt.body)["head"]
    if not Event.objects.filter(seq=head["seq"], hash=head["hash"]).exists():
        return Seal(False, f"The receipt proves an event {head['seq']} that the chain does not have")
    return Seal(True, "The hash of the event fits, and the chain has the head that the receipt names")


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
