"""The importer of DICOM: reads headers, judges series, waits for what is missing, and records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import BinaryIO

from django.utils import timezone

from dropslot.arrivals.importers import Bytes, Imported, Importer
from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import Entry
from dropslot.config import Route
from dropslot.contents.base import ListedItem
from dropslot.core.errors import Refused, SourceChanged
from dropslot.core.names import escape
from dropslot.core.showing.quantities import chunks
from dropslot.dicom.deidentifying.config_keys import deidentify_of
from dropslot.dicom.importing import at_nodes, config_keys, incomplete_series, told
from dropslot.dicom.importing.found import (
    FoundSeries,
    Instance,
    for_paths,
    instance_of,
    with_names,
)
from dropslot.dicom.importing.record_images import places_of, record_series
from dropslot.dicom_files.headers import KEYWORDS, Header, NotDicom, read_headers
from dropslot.files.walk import MAX_FAULTS

_AT_ONCE = 500  # headers in memory


class DicomImporter(Importer):
    """Imports the images of one route."""

    gives = frozenset(KEYWORDS)

    def __init__(self, route: Route) -> None:
        self.route = route

    def look(self, arrival: Arrival, items: Sequence[ListedItem], wanted: Collection[str]) -> Images:
        images = Images(arrival, self.route)
        for some in chunks(items, _AT_ONCE):
            headers = read_headers([(item.path, item.open) for item in some])
            for item, header in zip(some, headers, strict=True):
                images.add(item.path, header, wanted)
        if arrival.intent is None:
            images.require_dicom()
            incomplete_series.require_complete(arrival, images.series, images.rules.series)
        return images


class Images(Imported):
    """The images of one arrival."""

    def __init__(self, arrival: Arrival, route: Route) -> None:
        self.arrival, self.route = arrival, route
        self.values: dict[str, Mapping[str, str]] = {}
        self.held_back: set[str] = set()
        self.not_dicom: dict[str, str] = {}  # the reason by path
        self._staged: Mapping[str, Bytes] = {}
        self._by_uid: dict[tuple[str, str], FoundSeries] = {}

    @property
    def rules(self) -> config_keys.Keys:
        """The route's keys of the import."""
        assert isinstance(self.route, config_keys.Keys)
        return self.route

    @property
    def series(self) -> list[FoundSeries]:
        """In the same order for all arrivals, so that two that are recorded at once do not lock each other."""
        return [self._by_uid[key] for key in sorted(self._by_uid)]

    def add(self, path: str, header: Header | NotDicom, wanted: Collection[str]) -> None:
        """Take in one item."""
        if isinstance(header, NotDicom):
            self.not_dicom[path] = header.reason
        elif header.is_media_directory:
            self.not_dicom[path] = "it is a DICOMDIR, a list of other files"
        else:
            self._add(path, header, wanted)
            return
        if self.rules.not_dicom != "deliver":
            self.held_back.add(path)

    def _add(self, path: str, header: Header, wanted: Collection[str]) -> None:
        # On a route that de-identifies, the name that was sent must be in no path and no table.
        name = self.arrival.id if deidentify_of(self.route) else self.arrival.name
        values = with_names(header.values, path, name)
        is_named = not header.values.keys() >= {"StudyInstanceUID", "SeriesInstanceUID"}
        # A folder's name says which series it is only within its study.
        key = values["SeriesInstanceUID"], values["StudyInstanceUID"] if is_named else ""
        series = self._by_uid.setdefault(key, FoundSeries(values, is_named))
        series.instances.append(instance_of(path, header, values))
        self.values[path] = for_paths(values, wanted)

    def require_dicom(self) -> None:
        """Raise Refused if the route refuses an arrival that has files of other kinds, or none of this."""
        if self.rules.not_dicom == "refuse" and (others := list(self._refused())):
            raise Refused(others[:MAX_FAULTS])
        if not self._by_uid:
            reasons = [f"{escape(path)} is not DICOM: {reason}" for path, reason in self.not_dicom.items()]
            raise Refused([f"{escape(self.arrival.name)} has no DICOM image", *reasons[: MAX_FAULTS - 1]])

    def _refused(self) -> list[str]:
        return [
            f"{escape(path)} is not DICOM: {reason}"
            for path, reason in self.not_dicom.items()
            if path.rpartition("/")[2].upper() != "DICOMDIR"
        ]

    def prove(self, open_staged: Callable[[str], BinaryIO]) -> None:
        for series in self._by_uid.values():
            for one in series.instances:
                with open_staged(one.path) as staged:
                    _require_same(one, staged)

    def judge(self, staged: Mapping[str, Bytes]) -> None:
        self._staged = staged
        at_nodes.require_one_version(self.arrival, self.route, self.series, staged)

    def reserve(self) -> None:
        at_nodes.reserve(self.arrival, self.route, self.series, self._staged)

    def record(self, delivered: Mapping[str, Bytes]) -> Sequence[Entry]:
        at = self.arrival.finished_at or timezone.now()
        places = places_of(self.arrival)
        for one in self.series:
            # An attempt before this one may have kept back what is read well now.
            one.instances = [each for each in one.instances if each.path in delivered]
        there = [series for series in self.series if series.instances]
        recorded = [record_series(self.arrival, series, delivered, at, places) for series in there]
        incomplete_series.wake_others(self.arrival, self.series)
        at_nodes.forget(self.arrival)
        return told.entries(self.arrival, recorded, self.not_dicom, self.rules.series)


def _require_same(one: Instance, staged: BinaryIO) -> None:
    digest = hashlib.sha256(staged.read(one.read_bytes), usedforsecurity=False).hexdigest()
    if digest != one.read_sha256:
        raise SourceChanged(
            f"{escape(one.path)} changed after its header was read",
            where="Nothing of the arrival was delivered; it waits in processing",
            next_step="It is read again",
        )
