"""One patient with the studies, one study with its series, one series with its verdict and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from dropslot.arrivals.listings.cursor_pages import BadCursor, Page
from dropslot.dicom.listings import queries
from dropslot.dicom.listings.image_filters import Wanted
from dropslot.dicom.models import Contribution, Patient, Series, Study
from dropslot.portal.pages.listing_pages.columns import Column, Table, day, line
from dropslot.portal.pages.listing_pages.row_sources import SERIES_COLUMNS, STUDY_COLUMNS
from dropslot.portal.requests import access_in
from dropslot.portal.words.verdicts import verdict

_ROWS = 100
_ARRIVALS = 50
_IMAGES = (
    Column("number", "No.", "text", ("image", "id")),
    Column("sop_uid", "UID", "uid", ("image", "id")),
    Column("item", "File", "name"),
    Column("version", "Version", "number"),
    Column("frames", "Frames", "number"),
    Column("size_bytes", "Size", "size"),
    Column("sha256", "SHA-256", "hash"),
)
Facts = list[tuple[str, str]]
Rows = Callable[[str, int], Page]


@login_required
@require_GET
def patient(request: HttpRequest, pk: int) -> HttpResponse:
    """One patient, with the studies that the account may see."""
    access = access_in(request)
    row = get_object_or_404(access.patients(), pk=pk)

    def rows(cursor: str, limit: int) -> Page:
        return queries.studies(access.studies(), access.series(), Wanted(of_patient=row.pk), cursor, limit)

    table = _table(request, "Studies", STUDY_COLUMNS, rows)
    shown = {"patient": row, "facts": _of_patient(row), "table": table}
    return render(request, "dropslot/imaging/patient.html", shown)


@login_required
@require_GET
def study(request: HttpRequest, pk: int) -> HttpResponse:
    """One study, with its series."""
    access = access_in(request)
    row = get_object_or_404(access.studies().select_related("patient"), pk=pk)

    def rows(cursor: str, limit: int) -> Page:
        return queries.series(access.series(), Wanted(of_study=row.pk), cursor, limit)

    table = _table(request, "Series", SERIES_COLUMNS, rows)
    shown = {"study": row, "facts": _of_study(row), "table": table}
    return render(request, "dropslot/imaging/study.html", shown)


@login_required
@require_GET
def one_series(request: HttpRequest, pk: int) -> HttpResponse:
    """One series: the verdict with its evidence, the arrivals that brought it, and its images."""
    access = access_in(request)
    row = get_object_or_404(access.series().select_related("study__patient"), pk=pk)

    def rows(cursor: str, limit: int) -> Page:
        seen = access.instances(Q(series=row))
        return queries.instances_of_series(seen, Wanted(of_series=row.pk), cursor, limit)

    brought = Contribution.objects.filter(series=row, arrival__in=access.arrivals().order_by().values("id"))
    shown = {
        "series": row,
        "told": verdict(row.verdict),
        "facts": _of_series(row),
        "contributions": brought.select_related("arrival").order_by("-pk")[:_ARRIVALS],
        "table": _table(request, "Images", _IMAGES, rows),
    }
    return render(request, "dropslot/imaging/series.html", shown)


def _table(request: HttpRequest, caption: str, columns: Sequence[Column], rows: Rows) -> Table:
    cursor = request.GET.get("cursor", "")
    try:
        page = rows(cursor, _ROWS)
    except BadCursor:
        cursor, page = "", rows("", _ROWS)
    return Table(
        caption,
        columns,
        [line(row, columns) for row in page.items],
        "There is nothing of it that you may see.",
        newest="?" if cursor else "",
        older=f"?cursor={page.next}" if page.next else "",
        first_label="First",
        next_label="Next",
    )


def _of_patient(row: Patient) -> Facts:
    return _filled(
        ("Patient ID", row.patient_id),
        ("Issued by", row.issuer),
        ("Name", row.name),
        ("Born", day(row.birth_date)),
        ("Sex", row.sex),
        ("Route", row.route),
    )


def _of_study(row: Study) -> Facts:
    return _filled(
        ("Date", " ".join(filter(None, (day(row.date), _time(row.time))))),
        ("Accession number", row.accession_number),
        ("Study ID", row.study_id),
        ("Modalities", row.modalities),
        ("Study Instance UID", row.study_uid),
        ("Route", row.route),
    )


def _time(value: str) -> str:
    """A time as DICOM writes it, 101500.25, for people."""
    whole = value.partition(".")[0]
    is_time = len(whole) == 6 and whole.isascii() and whole.isdigit()
    return f"{whole[:2]}:{whole[2:4]}:{whole[4:]}" if is_time else value


def _of_series(row: Series) -> Facts:
    return _filled(
        ("Modality", row.modality),
        ("Series number", row.number),
        ("Body part", row.body_part),
        ("Protocol", row.protocol),
        ("Device", " ".join(filter(None, (row.manufacturer, row.model)))),
        ("Station", row.station),
        ("Series Instance UID", row.series_uid),
        ("Route", row.route),
    )


def _filled(*facts: tuple[str, str]) -> Facts:
    return [(label, value) for label, value in facts if value]
