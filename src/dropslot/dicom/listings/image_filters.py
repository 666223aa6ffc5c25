"""What narrows the listings of images."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from dropslot.arrivals.listings.queries import contains
from dropslot.dicom.models import Contribution, Instance, Patient, Series, Study

_Row = TypeVar("_Row", bound=Model)
# From each model: the relation that leads to its patient, study and series; None: there are several, see `narrowed`.
_TO: dict[type[Model], tuple[str | None, str | None, str | None]] = {
    Patient: ("", None, None),
    Study: ("patient__", "", None),
    Series: ("study__patient__", "study__", ""),
    Contribution: ("series__study__patient__", "series__study__", "series__"),
    Instance: ("series__study__patient__", "series__study__", "series__"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; what is empty narrows nothing. `search` and `patient` are parts of a name or id, `accession`,
    `modality`, `verdict` and `uid` are whole (`uid` of a study, series or instance), the dates are those of the study,
    as DICOM writes them (20261129), `since` is the time of receipt. `of_…` are keys of rows."""

    search: str = ""
    route: str = ""
    patient: str = ""
    accession: str = ""
    modality: str = ""
    verdict: str = ""
    uid: str = ""
    dated_from: str = ""
    dated_until: str = ""
    since: datetime | None = None
    of_patient: int | None = None
    of_study: int | None = None
    of_series: int | None = None
    of_arrival: str = ""
    newest: int | None = None


def narrowed(rows: QuerySet[_Row], wanted: Wanted) -> QuerySet[_Row]:
    """The rows that match: of patients, studies, series or instances. A patient or study matches by any of its
    series."""
    patient, study, series = _TO[rows.model]
    rows = rows.filter(_of_patient(wanted, patient or ""))
    for to, found, model, leads in (
        (study, _of_study(wanted, study or ""), Study, "patient"),
        (
            series,
            _of_series(wanted, series or ""),
            Series,
            "study" if rows.model is Study else "study__patient",
        ),
    ):
        if to is not None:
            rows = rows.filter(found)
        elif found:
            rows = rows.filter(pk__in=model._default_manager.filter(found).values(leads))
    if wanted.search:
        rows = rows.filter(_searched(rows.model, wanted.search))
    if wanted.uid:
        rows = rows.filter(_of_uid(rows.model, wanted.uid))
    if wanted.of_arrival and rows.model is Series:
        rows = rows.filter(contributions__arrival=wanted.of_arrival)
    elif wanted.of_arrival and rows.model in (Contribution, Instance):
        rows = rows.filter(arrival=wanted.of_arrival)
    return rows


def _q(prefix: str, **given: Any) -> Q:
    """The conditions that are filled in."""
    return Q(*((f"{prefix}{name}", value) for name, value in given.items() if value not in ("", None)))


def _of_patient(wanted: Wanted, prefix: str) -> Q:
    found = _q(prefix, route=wanted.route, id=wanted.of_patient)
    return (
        found & contains(wanted.patient, f"{prefix}patient_id", f"{prefix}name") if wanted.patient else found
    )


def _of_study(wanted: Wanted, prefix: str) -> Q:
    dates = {"date__gte": wanted.dated_from, "date__lte": wanted.dated_until}
    if wanted.dated_until and not wanted.dated_from:
        dates["date__gt"] = ""  # a study without a date matches no date
        found = _q(prefix, **dates) & ~Q((f"{prefix}date", ""))
    else:
        found = _q(prefix, **dates)
    return found & _q(prefix, accession_number=wanted.accession, id=wanted.of_study)


def _of_series(wanted: Wanted, prefix: str) -> Q:
    return _q(
        prefix,
        modality=wanted.modality,
        verdict=wanted.verdict,
        received_at__gte=wanted.since,
        id=wanted.of_series,
    )


_SEARCHED: dict[type[Model], tuple[str, ...]] = {
    Patient: ("patient_id", "name"),
    Study: (
        "description",
        "study_uid",
        "accession_number",
        "study_id",
        "patient__patient_id",
        "patient__name",
    ),
    Series: (
        *("description", "series_uid", "protocol", "study__accession_number", "study__study_uid"),
        *("study__patient__patient_id", "study__patient__name", "study__description"),
    ),
}


def _searched(model: type[Model], text: str) -> Q:
    if model in (Contribution, Instance):  # of a million images, only what an index finds
        series = Series.objects.filter(contains(text, *_SEARCHED[Series])).values("pk")
        return Q(series__in=series) | _of_instance(model, text)
    return contains(text, *_SEARCHED[model])


def _of_instance(model: type[Model], uid: str) -> Q:
    """The instance with this UID, or the contributions to its series."""
    if model is Instance:
        return Q(sop_uid=uid)
    return Q(series__in=Instance.objects.filter(sop_uid=uid).values("series"))


def _of_uid(model: type[Model], uid: str) -> Q:
    series = Series.objects.filter(
        Q(series_uid=uid)
        | Q(study__study_uid=uid)
        | Q(pk__in=Instance.objects.filter(sop_uid=uid).values("series"))
    )
    if model in (Contribution, Instance):
        above = series.filter(Q(series_uid=uid) | Q(study__study_uid=uid)).values("pk")
        return Q(series__in=above) | _of_instance(model, uid)
    leads = {Patient: "study__patient", Study: "study", Series: "pk"}[model]
    return Q(pk__in=series.values(leads))
