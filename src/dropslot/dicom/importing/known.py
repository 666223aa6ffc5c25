"""What the database knows of a series: instances that came before, and those that wait in other arrivals."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.core.states import UNFINISHED
from dropslot.dicom.importing.found import FoundSeries
from dropslot.dicom.importing.verdicts import Known, Listed
from dropslot.dicom.models import Awaited, Expected, Instance, Series


def rows_of(route: str, series: FoundSeries) -> list[Series]:
    """The rows of a series; of one whose UID is the name of a folder, only those of the same study."""
    rows = Series.objects.filter(route=route, series_uid=column(series.uid, 200)).select_related(
        "study__patient"
    )
    if series.is_named_for_folder:
        rows = rows.filter(study__study_uid=column(series.header["StudyInstanceUID"], 200))
    return list(rows.order_by("id"))


def known_of(rows: Sequence[Series], series: FoundSeries, arrival: str, route: str) -> Known:
    """All that is known of a series besides this arrival."""
    instances = {
        uid: (acquisition, frames)
        for uid, acquisition, frames in Instance.objects.filter(series__in=rows, version=1)
        .exclude(arrival_id=arrival)
        .values_list("sop_uid", "acquisition", "frames")
        .iterator()
    }
    if not series.is_named_for_folder:
        waiting = Awaited.objects.filter(
            route=route, series_uid=column(series.uid, 200), arrival__state__in=UNFINISHED
        ).exclude(arrival_id=arrival)
        for uid, acquisition, frames in waiting.values_list("sop_uid", "acquisition", "frames").iterator():
            instances.setdefault(uid, (acquisition, frames))
    return Known(
        instances,
        {(row.study.patient.patient_id, row.study.patient.issuer) for row in rows},
        {row.study.study_uid for row in rows},
    )


def listed_of(route: str, series: FoundSeries) -> Listed | None:
    """What an archive listed of a series."""
    row = Expected.objects.filter(route=route, series_uid=column(series.uid, 200)).first()
    return Listed(frozenset(row.sop_uids), row.source) if row else None


def column(text: str, most: int) -> str:
    """A value from a header as a column of at most so many characters can hold it."""
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode()[:most]
