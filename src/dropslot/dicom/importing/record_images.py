"""Writes the patients, studies, series and instances of a delivered arrival."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import F, Sum

from dropslot.arrivals.importers import Bytes
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit import locks
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.dicom import models
from dropslot.dicom.importing import found, known_instances
from dropslot.dicom.importing.header_columns import column
from dropslot.dicom.importing.verdicts import Verdict, judge
from dropslot.dicom.models import Patient, Series, Study


class Changed(NamedTuple):
    """An instance whose SOPInstanceUID was known with other bytes."""

    sop_uid: str
    item: str
    sha256: str
    known_sha256: str
    version: int


@dataclass(slots=True)
class Recorded:
    """What became of one series."""

    row: Series
    verdict: Verdict
    expected: Verdict  # with what waits in other arrivals
    instances: int  # of this arrival
    added: int
    changed: list[Changed] = field(default_factory=list)


def record_series(
    arrival: Arrival,
    series: found.FoundSeries,
    delivered: Mapping[str, Bytes],
    at: datetime,
    places: Mapping[str, Sequence[int]],
) -> Recorded:
    """Write one series; `places` are those of each item (`places_of`). An instance that is known with the same bytes
    adds nothing; with other bytes it is the next version."""
    wait_for_others()
    rows = known_instances.rows_of(arrival.route, series)
    before, listed = (
        known_instances.recorded(rows, arrival.id),
        known_instances.listed_of(arrival.route, series),
    )
    verdict = judge(series.instances, before, listed)
    expected = judge(series.instances, known_instances.with_awaited(before, series, arrival), listed)
    row, is_new = _row(arrival, series, rows, at)
    row.patients = sorted({*before.patients, *(one.patient for one in series.instances)})
    row.studies = sorted({*before.studies, *(one.study_uid for one in series.instances)})
    recorded = Recorded(row, verdict, expected, len(series.instances), 0)
    fresh = list(_fresh(row, arrival, series, delivered, recorded))
    models.Instance.objects.bulk_create(fresh, batch_size=CHUNK)
    recorded.added = len(fresh)
    models.Placement.objects.bulk_create(_placements(row, arrival, fresh, places), ignore_conflicts=True)
    models.Contribution.objects.get_or_create(
        series=row,
        arrival=arrival,
        defaults={"instances": recorded.instances, "added": recorded.added},
    )
    _update(row, arrival, recorded, at, is_new=is_new)
    return recorded


def places_of(arrival: Arrival) -> Mapping[str, Sequence[int]]:
    """The keys of the places to which each item of an arrival was delivered."""
    found: dict[str, list[int]] = defaultdict(list)
    for item, place in (
        Delivery.objects.filter(arrival=arrival).values_list("item", "place_id").iterator(CHUNK)
    ):
        found[item].append(place)
    return found


def _placements(
    row: Series, arrival: Arrival, fresh: Sequence[models.Instance], places: Mapping[str, Sequence[int]]
) -> list[models.Placement]:
    counts = Counter(place for each in fresh for place in set(places.get(each.item, ())))
    return [
        models.Placement(series=row, arrival=arrival, place_id=place, is_whole=count == len(fresh))
        for place, count in counts.items()
    ]


def wait_for_others() -> None:
    """Until this transaction ends, no other records images, or reserves them at a node: two that record one series
    would each judge and count it without the other's instances. On SQLite there is only one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [locks.IMAGES])


def _row(
    arrival: Arrival, series: found.FoundSeries, rows: Sequence[Series], at: datetime
) -> tuple[Series, bool]:
    if rows:
        return rows[0], False
    header = series.header
    study = _study(arrival.route, header, at)
    columns = {name: column(header.get(keyword, ""), most) for name, (keyword, most) in _SERIES.items()}
    return Series.objects.get_or_create(
        study=study,
        series_uid=column(series.uid, 200),
        defaults={
            **columns,
            "route": arrival.route,
            "is_named_for_folder": series.is_named_for_folder,
            "arrival": arrival,
            "received_at": at,
        },
    )


_SERIES = {
    "number": ("SeriesNumber", 20),
    "modality": ("Modality", 20),
    "description": ("SeriesDescription", 400),
    "body_part": ("BodyPartExamined", 100),
    "protocol": ("ProtocolName", 400),
    "manufacturer": ("Manufacturer", 200),
    "model": ("ManufacturerModelName", 200),
    "station": ("StationName", 100),
}
_STUDY = {
    "study_id": ("StudyID", 200),
    "accession_number": ("AccessionNumber", 200),
    "description": ("StudyDescription", 400),
    "date": ("StudyDate", 20),
    "time": ("StudyTime", 30),
}
_PATIENT = {"name": ("PatientName", 400), "birth_date": ("PatientBirthDate", 20), "sex": ("PatientSex", 20)}


def _study(route: str, header: Mapping[str, str], at: datetime) -> Study:
    patient, _ = Patient.objects.get_or_create(
        route=route,
        patient_id=column(header.get("PatientID", ""), 200),
        issuer=column(header.get("IssuerOfPatientID", ""), 200),
        defaults={name: column(header.get(keyword, ""), most) for name, (keyword, most) in _PATIENT.items()},
    )
    study, _ = Study.objects.get_or_create(
        route=route,
        study_uid=column(header["StudyInstanceUID"], 200),
        defaults={
            **{name: column(header.get(keyword, ""), most) for name, (keyword, most) in _STUDY.items()},
            "patient": patient,
            "received_at": at,
        },
    )
    return study


def _fresh(
    row: Series,
    arrival: Arrival,
    series: found.FoundSeries,
    delivered: Mapping[str, Bytes],
    recorded: Recorded,
) -> Iterator[models.Instance]:
    """The rows to add, in the order in which people look at images; changed instances are noted in `recorded`."""
    versions = _versions(row, (one.sop_uid for one in series.instances))
    for one in sorted(series.instances, key=_by_number):
        sha256, size_bytes = delivered[one.path]
        before = versions[one.sop_uid]
        if sha256 in before:
            continue
        before.append(sha256)
        if len(before) > 1:
            recorded.changed.append(Changed(one.sop_uid, one.path, sha256, before[-2], len(before)))
        yield models.Instance(
            series=row,
            sop_uid=one.sop_uid,
            version=len(before),
            sop_class=column(one.sop_class, 80),
            transfer_syntax=column(one.transfer_syntax, 80),
            number=column(one.number, 20),
            acquisition=one.acquisition,
            frames=one.frames,
            stated=one.stated,
            is_whole=not one.faults,
            position=one.position,
            plane=one.plane,
            rows=one.rows,
            columns=one.columns,
            sha256=sha256,
            size_bytes=size_bytes,
            arrival=arrival,
            item=column(one.path, 4096),
        )


def _by_number(one: found.Instance) -> tuple[int, str]:
    return found.whole_number(one.number) or 0, one.path


def _versions(row: Series, uids: Iterable[str]) -> dict[str, list[str]]:
    """The SHA-256 of the known versions of each instance, in their order."""
    versions: dict[str, list[str]] = defaultdict(list)
    for some in chunks(uids, CHUNK):
        rows = models.Instance.objects.filter(series=row, sop_uid__in=some).order_by("version")
        for uid, sha256 in rows.values_list("sop_uid", "sha256"):
            if sha256 not in versions[uid]:
                versions[uid].append(sha256)
    return versions


def _update(row: Series, arrival: Arrival, recorded: Recorded, at: datetime, *, is_new: bool) -> None:
    first = models.Instance.objects.filter(series=row, version=1)
    row.instances = first.count()
    row.size_bytes = first.aggregate(sum=Sum("size_bytes"))["sum"] or 0
    row.verdict, row.evidence = recorded.verdict
    if recorded.added:
        row.arrival, row.received_at = arrival, at
        row.revision = 1 if is_new else F("revision") + 1
    row.save()
    study = row.study
    found_modalities = study.series.order_by("modality").values_list("modality", flat=True).distinct()
    study.modalities = column(", ".join(filter(None, found_modalities)), 200)
    study.received_at = max(study.received_at, row.received_at)
    study.save(update_fields=["modalities", "received_at"])
