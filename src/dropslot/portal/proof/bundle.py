"""The bundle of a proof: a zip that anybody can verify with Python and ssh-keygen."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dropslot.access.seen import Access
from dropslot.audit import signing_key
from dropslot.audit.canonical import canonical, entry_text
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.audit.verifying import check_export
from dropslot.core import manifests
from dropslot.core.names import escape
from dropslot.portal.proof import seals
from dropslot.portal.proof.facts import Proof, sees_all_of

_BETWEEN = 1000  # events of other arrivals between this one's and the head that its receipt names

README = """Proof of a delivery by dropslot
===============================

What:    {what}
Arrival: {arrival} ({name})

To check it:   python3 check_bundle.py [FILE]
With a FILE, it also says whether this is the file that was delivered.

It needs Python 3.9 or later and ssh-keygen (OpenSSH 8.2 or later), and nothing of dropslot.
By hand:       ssh-keygen -Y verify -f allowed_signers -I dropslot -n dropslot -s receipt.sig < receipt.json

Whoever makes another bundle has another key: compare allowed_signers with the key that the people who run the portal
gave you at another time or in another way.

receipt.json     the signed summary of the arrival; `manifests` has the SHA-256 of each manifest
receipt.sig      its SSH signature
allowed_signers  the public keys that sign receipts
manifests/       what was delivered, in the format of sha256sum
events.jsonl     the arrival's entries of the audit trail, each with its hash and the hash before it{between}
bundle.json      what this bundle proves
"""


def made(access: Access, proof: Proof) -> tuple[bytes, int]:
    """The zip, and how many events are in it."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as bundle:
        listed = _add_manifests(bundle, access, proof)
        events = list(_events(access, proof))
        bundle.writestr("events.jsonl", "".join(f"{line}\n" for line in events))
        if proof.receipt is not None:
            bundle.writestr("receipt.json", proof.receipt.body)
            bundle.writestr("receipt.sig", proof.receipt.signature)
            signers = access.config.keys / signing_key.ALLOWED_SIGNERS
            bundle.writestr("allowed_signers", signers.read_bytes() if signers.is_file() else b"")
        bundle.writestr("bundle.json", json.dumps(_about(proof, listed), indent=1, sort_keys=True))
        for path in (Path(__file__).with_name("check_bundle.py"), Path(check_export.__file__)):
            bundle.writestr(path.name, path.read_bytes())
        bundle.writestr("README.txt", _readme(proof))
    return found.getvalue(), len(events)


def _readme(proof: Proof) -> str:
    what = (
        escape(proof.delivery.stored_as) if proof.delivery else f"all {proof.count} deliveries of an arrival"
    )
    head = proof.body.get("head", {}).get("seq", 0)
    apart = proof.event is not None and head > proof.event.seq
    between = (
        "\n                 (entries of other arrivals between them and the head that the receipt names are only there"
        "\n                 for those who may see the whole trail)"
    )
    arrival = proof.arrival
    return README.format(
        what=what, arrival=arrival.id, name=escape(arrival.name), between=between if apart else ""
    )


def _about(proof: Proof, listed: dict[str, str]) -> dict[str, object]:
    delivery = proof.delivery
    about: dict[str, object] = {
        "arrival": proof.arrival.id,
        "receipt": proof.receipt is not None,
        "manifests": listed,
    }
    about["delivery"] = delivery and {
        "destination": delivery.place.url,
        "stored_as": delivery.stored_as,
        "version": delivery.version,
        "outcome": delivery.outcome,
        "size_bytes": delivery.size_bytes,
        "sha256": delivery.sha256,
        "manifest_line": manifests.write([(delivery.sha256, delivery.stored_as)]).rstrip("\n"),
    }
    return about


def _add_manifests(bundle: zipfile.ZipFile, access: Access, proof: Proof) -> dict[str, str]:
    """Those in which nothing is hidden from the account."""
    if proof.receipt is None:
        return {}
    arrival = proof.arrival
    rows = [proof.delivery] if proof.delivery else arrival.deliveries.select_related("place").order_by("pk")
    places = {row.place_id: row.place.url for row in rows}
    listed = {}
    for number, (place, url) in enumerate(places.items(), 1):
        if url in proof.body["manifests"] and sees_all_of(access, arrival, place):
            listed[url] = f"manifests/{number}.sha256"
            bundle.writestr(listed[url], manifests.encode(seals.manifest_of(arrival.id, place)))
    return listed


def _events(access: Access, proof: Proof) -> Iterator[str]:
    """The arrival's, and those from its delivery to the signed head, if the account may see them. Who sees deliveries
    alone gets the event of the delivery."""
    rows = access.events().filter(arrival=proof.arrival.id)
    if not rows.exists() and proof.receipt is not None:
        rows = Event.objects.filter(arrival=proof.arrival.id, kind=Kind.DELIVERED)
    if proof.event and access.sees_all_routes() and (head := proof.body.get("head", {}).get("seq", 0)):
        until = min(head, proof.event.seq + _BETWEEN)
        rows = rows | Event.objects.filter(seq__gt=proof.event.seq, seq__lte=until)
    for row in rows.order_by("seq"):
        text = entry_text(row.seq, row.at, row.kind, row.arrival, row.data)
        yield f'{{"event":{text},"hash":{canonical(row.hash)},"previous":{canonical(seals.previous_hash(row))}}}'
