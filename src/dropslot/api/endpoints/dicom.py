"""Patients, studies, series and instances, with the header of each."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q
from ninja import Query, Router

from dropslot.access.payloads.image_bytes import opened_image
from dropslot.access.payloads.open_payload import NotHere
from dropslot.access.payloads.payload_responses import note_opened
from dropslot.access.roles import Scope
from dropslot.api import image_schemas
from dropslot.api.authentication import Asked, needs
from dropslot.api.lookup_by_id import not_there
from dropslot.api.problems import NotThere
from dropslot.api.request_schemas import WantedImages, images_of
from dropslot.audit.kinds import Kind
from dropslot.dicom.listings import queries
from dropslot.dicom.listings.newest import newest_instances
from dropslot.dicom_files.confined_reader import CannotLook
from dropslot.dicom_files.header_table import table_of

router = Router(tags=["dicom"])
_NUMBER = re.compile("[0-9]{1,18}")


@router.get("/patients", response=image_schemas.Patients, **needs(Scope.READ))
def list_patients(request: Asked, wanted: Query[WantedImages]) -> dict[str, Any]:
    """List patients of whom images arrived, the newest first."""
    seen = request.access.patients()
    return queries.patients(
        seen, request.access.studies(), images_of(request, wanted), wanted.cursor, wanted.limit
    )._asdict()


@router.get("/studies", response=image_schemas.Studies, **needs(Scope.READ))
def list_studies(request: Asked, wanted: Query[WantedImages]) -> dict[str, Any]:
    """List studies, the newest first."""
    seen = request.access.studies()
    return queries.studies(
        seen, request.access.series(), images_of(request, wanted), wanted.cursor, wanted.limit
    )._asdict()


@router.get("/series", response=image_schemas.AllSeries, **needs(Scope.READ))
def list_series(request: Asked, wanted: Query[WantedImages]) -> dict[str, Any]:
    """List series with the verdict on their completeness and its evidence, the newest first."""
    seen = request.access.series()
    return queries.series(seen, images_of(request, wanted), wanted.cursor, wanted.limit)._asdict()


@router.get("/instances", response=image_schemas.Instances, **needs(Scope.READ))
def list_instances(request: Asked, wanted: Query[WantedImages]) -> dict[str, Any]:
    """List instances, the newest first; with `series` those of one series, as they came."""
    access, found = request.access, images_of(request, wanted)
    if found.of_series is not None:
        seen = access.instances(Q(series=found.of_series))
        return queries.instances_of_series(seen, found, wanted.cursor, wanted.limit)._asdict()
    of = access.contributions()
    return newest_instances(access.instances, of, found, wanted.cursor, wanted.limit)._asdict()


@router.get("/instances/{id}/header", response=image_schemas.Header, **needs(Scope.READ))
def get_header(request: Asked, id: str) -> dict[str, Any]:
    """Show all elements of one instance, without its pixels. The look is an event."""
    number = int(id) if _NUMBER.fullmatch(id) else 0
    access = request.access
    row = access.instance(number).first()
    if row is None or not access.images_of(row).exists():
        raise not_there("image that you may open")
    try:
        with opened_image(access, row) as payload:
            note_opened(request, Kind.VIEWED, payload.delivery, "header")
            table = table_of(payload.fd)
    except (NotHere, CannotLook) as error:
        raise NotThere(error.what, where=error.where, next_step=error.next_step) from error
    return {
        "instance": row.pk,
        "elements": [each._asdict() for each in table.elements],
        "is_cut": table.is_cut,
    }
