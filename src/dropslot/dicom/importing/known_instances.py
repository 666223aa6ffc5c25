"""What the database knows of a series: instances that came before, and those that wait in other arrivals."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.arrivals.models import Arrival
from dropslot.core.states import State
from dropslot.dicom.importing.found import FoundSeries
from dropslot.dicom.importing.header_columns import column
from dropslot.dicom.importing.verdicts import Fact, Known, Listed
from dropslot.dicom.models import Awaited, Expected, Instance, Series


def rows_of(route: str, series: FoundSeries) -> list[Series]:
    """The rows of a series; of one whose UID is the name of a folder, only those of the same study."""
    rows = Series.objects.filter(route=route, series_uid=column(series.uid, 200)).select_related(
        "study__patient"
    )
    if series.is_named_for_folder:
        rows = rows.filter(study__study_uid=column(series.header["StudyInstanceUID"], 200))
    return list(rows.order_by("id"))


def recorded(rows: Sequence[Series], arrival: str) -> Known:
    """What is recorded of a series besides this arrival. Of several versions of an instance the newest counts."""
    found = Instance.objects.filter(series__in=rows).exclude(arrival_id=arrival).order_by("version")
    return Known(
        {uid: Fact(*facts) for uid, *facts in found.values_list("sop_uid", *Fact._fields).iterator()},
        {(patient_id, issuer) for row in rows for patient_id, issuer in row.patients},
        {uid for row in rows for uid in row.studies},
    )


def with_awaited(known: Known, series: FoundSeries, arrival: Arrival) -> Known:
    """The same with the instances of other arrivals that wait, or are being delivered because of others that wait. They
    may still be refused, so they say what may be delivered, and never what is complete."""
    if series.is_named_for_folder:
        return known
    instances, patients, studies = dict(known.instances), set(known.patients), set(known.studies)
    awaited = Awaited.objects.filter(route=arrival.route, series_uid=column(series.uid, 200))
    awaited = awaited.exclude(arrival_id=arrival.id).exclude(arrival__state=State.FAILED)
    names = ("sop_uid", "study_uid", "patient_id", "issuer", *Fact._fields)
    for uid, study, patient_id, issuer, *facts in awaited.values_list(*names).iterator():
        instances.setdefault(uid, Fact(*facts))
        patients.add((patient_id, issuer))
        studies.add(study)
    return Known(instances, patients, studies)


def listed_of(route: str, series: FoundSeries) -> Listed | None:
    """What an archive listed of a series."""
    row = Expected.objects.filter(route=route, series_uid=column(series.uid, 200)).first()
    return Listed(frozenset(row.sop_uids), row.source) if row else None
