"""The instances of one arrival as their headers tell, without what nobody needs later: an arrival may have 100,000."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from dropslot.core.names import escape
from dropslot.dicom.importing.header_columns import column
from dropslot.dicom_files.headers import Header

_STATED = (("ImagesInAcquisition", "NumberOfTemporalPositions"), ("NumberOfSlices", "NumberOfTimeSlices"))


class Instance(NamedTuple):
    """One instance; what is compared with the database is as its columns hold it. `stated` is the number of images that
    its header gives for its acquisition; None: none."""

    path: str
    sop_uid: str
    patient: tuple[str, str]  # PatientID and its issuer
    study_uid: str
    sop_class: str
    transfer_syntax: str
    number: str
    acquisition: str
    frames: int
    rows: int | None
    columns: int | None
    stated: int | None
    position: float | None  # along the normal of its image plane, in mm
    plane: str  # a hash: instances of one plane and time lie beside each other
    faults: tuple[str, ...]
    read_bytes: int  # from its start, and their SHA-256
    read_sha256: str


@dataclass(slots=True)
class FoundSeries:
    """The instances of one series in one arrival. `header` is that of the first one, with what stands in for missing
    identifiers."""

    header: Mapping[str, str]
    is_named_for_folder: bool
    instances: list[Instance] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return self.header["SeriesInstanceUID"]


def with_names(header: Mapping[str, str], path: str, arrival: str) -> dict[str, str]:
    """The values of a header. A missing StudyID, StudyInstanceUID or SeriesInstanceUID gets the name of the folder:
    `study_NAME` of the arrival, `series_NAME` of the folder that holds the item."""
    study, series = f"study_{escape(arrival)}", f"series_{escape(_folder(path) or arrival)}"
    return {"StudyID": study, "StudyInstanceUID": study, "SeriesInstanceUID": series, **header}


def _folder(path: str) -> str:
    return path.rpartition("/")[0].rpartition("/")[2]


def instance_of(path: str, header: Header, values: Mapping[str, str]) -> Instance:
    """The facts of one instance."""
    return Instance(
        path,
        column(values.get("SOPInstanceUID", f"item {escape(path)}"), 200),
        (_kept(values, "PatientID", 200), _kept(values, "IssuerOfPatientID", 200)),
        _kept(values, "StudyInstanceUID", 200),
        sys.intern(values.get("SOPClassUID", "")),
        sys.intern(values.get("TransferSyntaxUID", "")),
        values.get("InstanceNumber", ""),
        _kept(values, "AcquisitionNumber", 20),
        whole_number(values.get("NumberOfFrames")) or 1,
        whole_number(values.get("Rows")),
        whole_number(values.get("Columns")),
        _stated(values),
        _position(values),
        sys.intern(_plane(values)),
        (*header.faults, *_missing(header.values)),
        header.read_bytes,
        header.read_sha256,
    )


def _kept(values: Mapping[str, str], keyword: str, most: int) -> str:
    return sys.intern(column(values.get(keyword, ""), most))


_PLANE = (
    "ImageOrientationPatient",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "ImageType",
)


def _plane(values: Mapping[str, str]) -> str:
    said = "|".join(values.get(key, "") for key in _PLANE)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _missing(values: Mapping[str, str]) -> Iterator[str]:
    for keyword in ("SOPInstanceUID", "SOPClassUID"):
        if keyword not in values:
            yield f"it has no {keyword}"
    if _is_image(values.get("SOPClassUID", "")) and any(keyword not in values for keyword in _OF_PIXELS):
        yield "it should be an image, but its header describes no pixels"


_OF_PIXELS = ("Rows", "Columns", "BitsAllocated")


@cache
def _is_image(sop_class: str) -> bool:
    from pydicom.uid import UID

    return "Image Storage" in UID(sop_class).name


def _stated(values: Mapping[str, str]) -> int | None:
    for of_place, of_time in _STATED:
        if (places := whole_number(values.get(of_place))) is not None:
            return places * (whole_number(values.get(of_time)) or 1)
    return None


def _position(values: Mapping[str, str]) -> float | None:
    plane, place = (
        _numbers(values.get(key, "")) for key in ("ImageOrientationPatient", "ImagePositionPatient")
    )
    if len(plane) != 6 or len(place) != 3:
        return None
    (a, b, c), (d, e, f) = plane[:3], plane[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    found = sum(one * other for one, other in zip(normal, place, strict=True))
    return found if math.isfinite(found) else None


def _numbers(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split("\\")]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []


def whole_number(text: str | None) -> int | None:
    """A number of things, from a header: at least 1, and one that the database holds."""
    try:
        number = int((text or "").partition("\\")[0])
    except ValueError:
        return None
    return number if 0 < number < 2**31 else None


def for_paths(values: Mapping[str, str], wanted: Collection[str]) -> dict[str, str]:
    """The values that the paths of a route need."""
    return {name: values[name] for name in wanted if name in values}
