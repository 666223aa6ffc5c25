"""DICOM's keys in config.yaml: import, receiving, de-identification. Nothing here needs Django or pydicom."""

from __future__ import annotations

from collections.abc import Iterable

from dropslot.config.sections import RouteRule, Section
from dropslot.dicom.deidentifying import keys as deidentifying
from dropslot.dicom.importing import keys as importing
from dropslot.dicom.receiving import keys as receiving


class RouteKeys(importing.Keys, receiving.Keys, deidentifying.Keys):
    """Keys of a route."""


class DicomSection(Section):
    """The keys of DICOM, and their rules."""

    route_keys = RouteKeys
    parts = (*importing.PARTS, *receiving.PARTS, *deidentifying.PARTS)

    def rules(self) -> Iterable[tuple[frozenset[str], RouteRule]]:
        return (*importing.RULES, *receiving.RULES, *deidentifying.RULES)


SECTION = DicomSection()
