"""The table of replacements: which original became what, encrypted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from dropslot.core.errors import DropslotError
from dropslot.dicom.deidentifying.secret_key import Sealed, SecretKey
from dropslot.dicom.models import Pseudonym
from dropslot.dicom_files.deidentifier.replacing import ACCESSION, PATIENT, mac

_AT_ONCE = 500
Made = Mapping[tuple[str, str], str]  # kind and original: replacement


class PseudonymConflict(DropslotError):
    """A pseudonym is not the one that was given before, or it belongs to another original."""

    code = "pseudonym-conflict"
    retryable = True


def record(key: SecretKey, route: str, arrival: str, made: Made) -> None:
    """Keep the replacements of an arrival; those that are known stay as they are. Raises PseudonymConflict."""
    of_route = key.of_route(route)
    now = timezone.now()
    rows = []
    for (kind, original), replacement in made.items():
        found = mac(of_route, kind, original).hex()
        bound = Sealed(route, kind, replacement)
        sealed = key.seal(original, bound)
        rows.append(
            Pseudonym(
                route=route,
                kind=kind,
                original_mac=found,
                replacement=replacement,
                sealed=sealed,
                arrival_id=arrival,
                at=now,
            )
        )
    with transaction.atomic():
        # In one order, so that two arrivals never wait for each other.
        rows.sort(key=lambda row: (row.kind, row.original_mac))
        Pseudonym.objects.bulk_create(rows, batch_size=_AT_ONCE, ignore_conflicts=True)
        _require_same(route, [row for row in rows if row.kind in (PATIENT, ACCESSION)])


def _require_same(route: str, rows: Iterable[Pseudonym]) -> None:
    for row in rows:
        kept = Pseudonym.objects.filter(route=route, kind=row.kind)
        others = kept.filter(replacement=row.replacement).exclude(original_mac=row.original_mac)
        if (
            others.exists()
            or not kept.filter(original_mac=row.original_mac, replacement=row.replacement).exists()
        ):
            raise PseudonymConflict(
                f"The pseudonym {row.replacement!r} of route {route} belongs to another original, or this original had"
                " another one before",
                where="Nothing of the arrival was delivered; it waits in processing and is retried",
                next_step="Let the pseudonym service give each original one pseudonym, and each pseudonym to one"
                " original",
            )
