"""The rows that the import writes, read behind dropslot's back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from product import Product

_COLUMNS = {
    "patient": ("route", "patient_id", "issuer", "name", "birth_date", "sex"),
    "study": ("study_uid", "study_id", "accession_number", "description", "date", "modalities"),
    "series": ("series_uid", "number", "modality", "instances", "size_bytes", "revision", "verdict", "evidence"),
    "instance": ("sop_uid", "version", "sop_class", "transfer_syntax", "sha256", "size_bytes", "item"),
}  # fmt: skip
_NAMES = [f"{table}.{column}" for table, columns in _COLUMNS.items() for column in columns]
_QUERY = f"""
    SELECT {", ".join(_NAMES)}, arrival.name AS arrival FROM dropslot_dicom_patient AS patient
    LEFT JOIN dropslot_dicom_study AS study ON study.patient_id = patient.id
    LEFT JOIN dropslot_dicom_series AS series ON series.study_id = study.id
    LEFT JOIN dropslot_dicom_instance AS instance ON instance.series_id = series.id
    LEFT JOIN dropslot_arrival AS arrival ON arrival.id = instance.arrival_id
"""
_CONTRIBUTIONS = """
    SELECT series.series_uid, arrival.name, contribution.instances, contribution.added
    FROM dropslot_dicom_contribution AS contribution
    JOIN dropslot_dicom_series AS series ON series.id = contribution.series_id
    JOIN dropslot_arrival AS arrival ON arrival.id = contribution.arrival_id
"""
_PLACEMENTS = """
    SELECT series.series_uid, arrival.name, place.url, CAST(placement.is_whole AS INTEGER)
    FROM dropslot_dicom_placement AS placement
    JOIN dropslot_dicom_series AS series ON series.id = placement.series_id
    JOIN dropslot_arrival AS arrival ON arrival.id = placement.arrival_id
    JOIN dropslot_place AS place ON place.id = placement.place_id
"""


def image_rows(product: Product) -> list[dict[str, Any]]:
    """Each instance with its series, study and patient; also a series, study or patient that has none."""
    with _connected(product) as connection:
        return rows_in(connection)


def origins(product: Product) -> list[tuple[Any, ...]]:
    """Which arrivals brought images of each series, and where they were delivered."""
    with _connected(product) as connection:
        return origins_in(connection)


@contextmanager
def _connected(product: Product) -> Iterator[Any]:
    url = product.database
    if urlsplit(url).scheme != "postgresql":
        with closing(sqlite3.connect(product.root / "var" / "dropslot.sqlite3")) as connection:
            yield connection
        return
    with psycopg.connect(url, password=os.environ["DROPSLOT_DATABASE_PASSWORD"]) as connected:
        yield connected


def origins_in(connection: Any) -> list[tuple[Any, ...]]:
    """The same, of an open connection."""
    return sorted(
        (
            tuple(row)
            for query in (_CONTRIBUTIONS, _PLACEMENTS)
            for row in connection.execute(query).fetchall()
        ),
        key=repr,
    )


def rows_in(connection: Any) -> list[dict[str, Any]]:
    """The same, of an open connection, without ids and times."""
    rows = [
        dict(zip([*_NAMES, "arrival"], row, strict=True)) for row in connection.execute(_QUERY).fetchall()
    ]
    for row in rows:
        if isinstance(row["series.evidence"], str):  # as SQLite keeps it
            row["series.evidence"] = json.loads(row["series.evidence"])
    return sorted(rows, key=lambda row: json.dumps(row, default=str))
