"""Rows of images beside real arrivals, for tests of pages and API that need no import."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from dropslot.arrivals.models import Arrival
from dropslot.dicom.models import Contribution, Instance, Patient, Placement, Series, Study


def record_images(arrival: str, name: str = "Doe^Jane", **of_series: Any) -> Series:
    """A patient, study and series of the arrival of this name, with an instance for each delivery."""
    row = Arrival.objects.get(name=arrival)
    at = timezone.now()
    patient = Patient.objects.create(route=row.route, patient_id=f"P-{arrival}", name=name)
    study = Study.objects.create(
        patient=patient,
        route=row.route,
        study_uid=f"1.2.{row.pk}",
        accession_number=f"A-{arrival}",
        description=name,
        date="20260301",
        modalities="CT",
        received_at=at,
    )
    given = {"verdict": "CONSISTENT", "evidence": [f"All of {name}"], "modality": "CT", "description": name}
    deliveries = list(row.deliveries.order_by("pk"))
    series = Series.objects.create(
        study=study,
        route=row.route,
        series_uid=f"1.2.{row.pk}.1",
        arrival=row,
        received_at=at,
        instances=len(deliveries),
        **given | of_series,
    )
    Contribution.objects.create(series=series, arrival=row, instances=len(deliveries), added=len(deliveries))
    for place in {each.place_id for each in deliveries}:
        whole = all(each.place_id == place for each in deliveries)
        Placement.objects.create(series=series, arrival=row, place_id=place, is_whole=whole)
    for number, each in enumerate(deliveries, 1):
        Instance.objects.create(
            series=series,
            sop_uid=f"1.2.{row.pk}.1.{number}",
            sha256=each.sha256,
            size_bytes=each.size_bytes,
            arrival=row,
            item=each.item,
            number=str(number),
        )
    return series
