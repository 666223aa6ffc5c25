"""Pages of the listings, and their rows as plain dictionaries with the keys that scripts use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db.models import Count, Model, QuerySet

from dropslot.arrivals.listings.cursor_pages import Page, key_of, limited, page_of
from dropslot.arrivals.listings.queries import iso, last
from dropslot.dicom.listings.image_filters import Wanted, narrowed
from dropslot.dicom.models import Instance, Patient, Series, Study

_Row = TypeVar("_Row", bound=Model)
Shown = Callable[[Sequence[_Row]], list[dict[str, Any]]]


def patients(
    seen: QuerySet[Patient], below: QuerySet[Study], wanted: Wanted, cursor: str = "", limit: int = 50
) -> Page:
    """Patients of `seen`, the newest first, with the number of their studies in `below`. Raises BadCursor, as all of
    these."""
    return _page(seen, wanted, cursor, limit, partial(_patients, below))


def studies(
    seen: QuerySet[Study], below: QuerySet[Series], wanted: Wanted, cursor: str = "", limit: int = 50
) -> Page:
    """Studies of `seen`, the newest first, with the number and modalities of their series in `below`."""
    return _page(seen.select_related("patient"), wanted, cursor, limit, partial(_studies, below))


def series(seen: QuerySet[Series], wanted: Wanted, cursor: str = "", limit: int = 50) -> Page:
    """Series of `seen`, the newest first."""
    return _page(seen.select_related("study__patient"), wanted, cursor, limit, _all_series)


def instances_of_series(seen: QuerySet[Instance], wanted: Wanted, cursor: str = "", limit: int = 50) -> Page:
    """Instances of one series, in the order in which they came."""
    rows, limit = narrowed(seen, wanted), limited(limit)
    if cursor:
        rows = rows.filter(pk__gt=key_of(rows, cursor))
    found = list(rows.order_by("series_id", "pk")[: limit + 1])
    return page_of_instances(found, limit)


def page_of_instances(found: Sequence[Instance], limit: int) -> Page:
    """The first `limit` of these rows; if there are more, the cursor of the next ones."""
    rows = [instance_row(row) for row in found[:limit]]
    return Page(rows, str(found[limit - 1].pk) if len(found) > limit else None)


def listed_series(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """All series that match, the oldest first, with the keys of `series --json`."""
    rows = narrowed(Series.objects.select_related("study__patient").order_by("pk"), wanted)
    return map(series_row, last(rows, wanted.newest))


def _page(seen: QuerySet[_Row], wanted: Wanted, cursor: str, limit: int, shown: Shown[_Row]) -> Page:
    rows, following = page_of(narrowed(seen, wanted), cursor, limit)
    return Page(shown(rows), following)


def series_row(row: Series) -> dict[str, Any]:
    """One series with the keys of `series --json`."""
    return {
        "patient_id": row.study.patient.patient_id,
        "study_uid": row.study.study_uid,
        "series_uid": row.series_uid,
        "modality": row.modality,
        "description": row.description,
        "instances": row.instances,
        "verdict": row.verdict,
        "evidence": row.evidence,
        "arrival": row.arrival_id,
        "received_at": iso(row.received_at),
    }


def series_of_api(row: Series) -> dict[str, Any]:
    """The same with what leads to other rows, and more of the header."""
    names = ("number", "body_part", "protocol", "manufacturer", "model", "station", "size_bytes", "revision")
    return {
        "id": row.pk,
        "route": row.route,
        "study": row.study_id,
        "patient_name": row.study.patient.name,
        **series_row(row),
        **{name: getattr(row, name) for name in names},
        "is_named_for_folder": row.is_named_for_folder,
    }


def _all_series(rows: Sequence[Series]) -> list[dict[str, Any]]:
    return [series_of_api(row) for row in rows]


def _patients(below: QuerySet[Study], rows: Sequence[Patient]) -> list[dict[str, Any]]:
    counted = below.filter(patient__in=rows).order_by().values_list("patient").annotate(Count("pk"))
    counts = dict(counted)
    names = ("route", "patient_id", "issuer", "name", "birth_date", "sex")
    return [
        {"id": row.pk, **{name: getattr(row, name) for name in names}, "studies": counts.get(row.pk, 0)}
        for row in rows
    ]


def _studies(below: QuerySet[Series], rows: Sequence[Study]) -> list[dict[str, Any]]:
    of_each: dict[Any, list[str]] = defaultdict(list)
    for study, modality in below.filter(study__in=rows).order_by("modality").values_list("study", "modality"):
        of_each[study].append(modality)
    names = ("study_uid", "study_id", "accession_number", "description", "date", "time")
    return [
        {
            "id": row.pk,
            "route": row.route,
            "patient": row.patient_id,
            "patient_id": row.patient.patient_id,
            "patient_name": row.patient.name,
            **{name: getattr(row, name) for name in names},
            "modalities": ", ".join(filter(None, dict.fromkeys(of_each[row.pk]))),
            "series": len(of_each[row.pk]),
            "received_at": iso(row.received_at),
        }
        for row in rows
    ]


def instance_row(row: Instance) -> dict[str, Any]:
    """One instance."""
    names = ("sop_uid", "version", "sop_class", "transfer_syntax", "number", "frames", "rows", "columns")
    more = ("sha256", "size_bytes", "item")
    return {
        "id": row.pk,
        "series": row.series_id,
        **{name: getattr(row, name) for name in (*names, *more)},
        "arrival": row.arrival_id,
    }
