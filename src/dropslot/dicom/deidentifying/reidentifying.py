"""From a replacement back to the original: each time with a reason, and as an event."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from django.db import transaction

from dropslot.audit.chain import append
from dropslot.audit.kinds import Kind, entry
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.dicom.deidentifying.secret_key import Sealed, SecretKey
from dropslot.dicom.models import Pseudonym
from dropslot.dicom_files.deidentifier.replacing import PATIENT, SHIFT, mac

LONGEST_REASON = 1000


class NotReidentified(DropslotError):
    """There is no reason, or a value is no replacement. Nothing was shown."""

    code = "not-reidentified"


class Original(NamedTuple):
    """What a replacement stands for. `shift_days`: by how many days a patient's dates were moved; None: not at all."""

    value: str
    route: str
    kind: str
    original: str
    shift_days: int | None
    arrival: str


def reidentify(
    config: Config, values: Sequence[str], reason: str, by: str, routes: Collection[str] | None = None
) -> list[Original]:
    """The originals of replacements, in all routes or in those given. They are shown once the events are recorded.
    Raises NotReidentified and PseudonymKeyFault; then nothing is recorded."""
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise NotReidentified(
            f"A reason is missing, or has more than {LONGEST_REASON} characters",
            where="Nothing was shown",
            next_step="Say why: it is recorded in the audit trail",
        )
    if not Pseudonym.objects.exists():
        raise _unknown(values)
    key = SecretKey(config.keys)
    with transaction.atomic():
        found = [original for value in values for original in _originals(key, value, routes)]
        if missing := [value for value in values if all(value != each.value for each in found)]:
            raise _unknown(missing)
        append(
            [
                entry(
                    Kind.REIDENTIFIED,
                    each.arrival,
                    {
                        "route": each.route,
                        "kind": each.kind,
                        "replacement": each.value,
                        "reason": reason,
                        "by": by,
                    },
                )
                for each in found
            ]
        )
    return found


def _unknown(values: Sequence[str]) -> NotReidentified:
    # Not which ones: somebody may have given an original by mistake, and errors end up in logs.
    return NotReidentified(
        f"{len(values)} of the values are no replacements of these routes",
        where="Nothing was shown",
        next_step="Give values as they are in the delivered files: a PatientID, an AccessionNumber or a UID",
    )


def _originals(key: SecretKey, value: str, routes: Collection[str] | None) -> Iterator[Original]:
    rows = Pseudonym.objects.filter(replacement=value).exclude(kind=SHIFT).order_by("route", "kind")
    for row in rows if routes is None else rows.filter(route__in=routes):
        original = key.open(bytes(row.sealed), Sealed(row.route, row.kind, row.replacement))
        days = _shift(key, row.route, original) if row.kind == PATIENT else None
        yield Original(value, row.route, row.kind, original, days, row.arrival_id)


def _shift(key: SecretKey, route: str, patient: str) -> int | None:
    found = mac(key.of_route(route), SHIFT, patient).hex()
    row = Pseudonym.objects.filter(route=route, kind=SHIFT, original_mac=found).first()
    return int(row.replacement) if row else None
