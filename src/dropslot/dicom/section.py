"""DICOM's keys in config.yaml: import, receiving, de-identification. Nothing here needs Django or pydicom."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from dropslot.config.sections import RouteRule, Section
from dropslot.dicom.deidentifying import config_keys as deidentifying
from dropslot.dicom.importing import config_keys as importing
from dropslot.dicom.receiving import config_keys as receiving
from dropslot.dicom_files.keywords import KEYWORDS

if TYPE_CHECKING:
    from dropslot.config.models import Route


class RouteKeys(importing.Keys, receiving.Keys, deidentifying.Keys):
    """Keys of a route."""


class DicomSection(Section):
    """The keys of DICOM, and their rules."""

    route_keys = RouteKeys
    parts = (*importing.PARTS, *receiving.PARTS, *deidentifying.PARTS)

    def fields(self, route: Route) -> frozenset[str]:
        return frozenset(KEYWORDS) if importing.is_imported(route) else frozenset()

    def absolute(self, model: BaseModel, base: Path) -> dict[str, Any]:
        return receiving.absolute(model, base)

    def rules(self) -> Iterable[tuple[frozenset[str], RouteRule]]:
        return (*importing.RULES, *receiving.RULES, *deidentifying.RULES)


SECTION = DicomSection()
