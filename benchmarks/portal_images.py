"""`python -m benchmarks.portal_images INSTANCES`: images beside what `portal_data` made, by the product's own models.

Run with DROPSLOT_CONFIG set. Series of 200 instances, five series a study, an arrival for each study; a study of images
belongs to one of eight research studies, `tiny` has one.
"""

from __future__ import annotations

import os
import random
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import django

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_EACH, _SERIES = 200, 5
_STUDIES = ("heart", "lung", "kidney", "sleep", "ageing", "dementia", "twins", "balance")
_SENDERS = tuple(f"tech{number:02}" for number in range(40))


def fill(instances: int) -> None:
    """Make that many instances with their deliveries, one study a transaction."""
    from django.db import connection, transaction

    chance = random.Random(12)
    for number in range(instances // (_EACH * _SERIES)):
        with transaction.atomic():
            _study(chance, number)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _study(chance: random.Random, number: int) -> None:
    from dropslot.dicom.models import Contribution, Instance, Patient, Placement, Series, Study

    at = _FIRST + timedelta(minutes=20 * number)
    arrival, place = _arrival(chance, number, at)
    name = f"{chance.choice(('Doe', 'Roe', 'Muster'))}^{chance.choice(('Jane', 'John', 'Max'))}"
    patient, _ = Patient.objects.get_or_create(
        route="dicom", patient_id=f"P-{number % 700:05}", defaults={"name": name}
    )
    study = Study.objects.create(
        patient=patient,
        route="dicom",
        study_uid=f"1.2.3.{number}",
        accession_number=f"A{number:05}",
        description=chance.choice(("Thorax", "Head", "Knee")),
        date=f"{at:%Y%m%d}",
        modalities="CT, MR",
        received_at=at,
    )
    for index in range(_SERIES):
        series = Series.objects.create(
            study=study,
            route="dicom",
            series_uid=f"1.2.3.{number}.{index}",
            modality=chance.choice(("CT", "MR")),
            description=chance.choice(("thorax 1mm", "localizer", "t2 axial")),
            instances=_EACH,
            size_bytes=_EACH * 530_000,
            verdict=chance.choice(("VERIFIED", "CONSISTENT", "CONSISTENT", "UNKNOWN", "INCOMPLETE")),
            evidence=[f"The series has {_EACH} images, and its headers state {_EACH}"],
            arrival=arrival,
            received_at=at,
        )
        Contribution.objects.create(series=series, arrival=arrival, instances=_EACH, added=_EACH)
        Placement.objects.create(series=series, arrival=arrival, place=place, is_whole=True)
        Instance.objects.bulk_create(_instance(series, arrival, image) for image in range(_EACH))
        _deliver(arrival, place, series)


def _arrival(chance: random.Random, number: int, at: datetime) -> tuple[Any, Any]:
    from ulid import ULID

    from dropslot.arrivals.models import Arrival, Place

    study = "tiny" if number == 3 else chance.choice(_STUDIES)
    sent = f"scan{number}"
    arrival = Arrival.objects.create(
        id=str(ULID.from_datetime(at)),
        route="dicom",
        inbox="/elsewhere/inbox",
        name=f"{study}-{sent}",
        name_bytes=f"{study}-{sent}".encode(),
        is_folder=True,
        sender="rare" if number == 5 else chance.choice(_SENDERS),
        fields={"study": study, "sent": sent},
        state="done",
        items=_EACH * _SERIES,
        size_bytes=_EACH * _SERIES * 530_000,
        attempts=1,
        epoch=1,
        dropped_at=at,
        received_at=at,
        finished_at=at + timedelta(seconds=9),
        archived_as=sent,
    )
    url = f"{os.environ['DROPSLOT_BENCH_ROOT']}/images/{study}/{sent}"
    return arrival, Place.objects.create(url=url)


def _instance(series: Any, arrival: Any, image: int) -> Any:
    from dropslot.dicom.models import Instance

    return Instance(
        series=series,
        sop_uid=f"{series.series_uid}.{image}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax="1.2.840.10008.1.2.1",
        number=str(image),
        rows=512,
        columns=512,
        sha256=sha256(f"{series.pk}/{image}".encode()).hexdigest(),
        size_bytes=530_000,
        arrival=arrival,
        item=f"{series.series_uid}/{image}.dcm",
    )


def _deliver(arrival: Any, place: Any, series: Any) -> None:
    from dropslot.arrivals.models import Delivery

    Delivery.objects.bulk_create(
        Delivery(
            arrival=arrival,
            place=place,
            item=f"{series.series_uid}/{image}.dcm",
            stored_as=f"{series.series_uid}/{image}.dcm",
            version=1,
            outcome="delivered",
            sha256=sha256(f"{series.pk}/{image}".encode()).hexdigest(),
            size_bytes=530_000,
            mtime_ns=0,
        )
        for image in range(_EACH)
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.portal_settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    fill(int(sys.argv[1]))
