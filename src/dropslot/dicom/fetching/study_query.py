"""What an archive says that it has (C-FIND): studies, their series, and the instances of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as FIND,
)

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.destinations.dicom.association import associated
from dropslot.destinations.dicom.peers import Peer
from dropslot.dicom.receiving.hidden_folders import is_uid

_PENDING = (0xFF00, 0xFF01)
_MOST_ANSWERS = 200_000


class NotFetched(DropslotError):
    """The archive does not have it, or did not give all of it. Nothing has a final name."""

    code = "not-fetched"


@dataclass(slots=True)
class Series:
    """One series in the archive; `instances`: SOP class by SOPInstanceUID."""

    uid: str
    modality: str
    instances: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Study:
    """One study in the archive."""

    uid: str
    accession: str
    series: list[Series] = field(default_factory=list)


def find(peer: Peer, accessions: list[str], study_uids: list[str]) -> list[Study]:
    """The studies with these accession numbers or UIDs, with all series and instances. Raises NotFetched if the archive
    does not know one, and DestinationUnready if it does not answer."""
    with associated(peer, [build_context(FIND)]) as association:
        wanted = [{"AccessionNumber": number, "StudyInstanceUID": ""} for number in accessions]
        wanted += [{"AccessionNumber": "", "StudyInstanceUID": uid} for uid in study_uids]
        studies = [study for keys in wanted for study in _studies(association, keys)]
        for study in studies:
            study.series = list(_series(association, study.uid))
    return list({study.uid: study for study in studies}.values())


def _studies(association: Association, keys: dict[str, str]) -> Iterator[Study]:
    found = False
    for answer in _asked(association, "STUDY", **keys):
        uid = _uid(answer, "StudyInstanceUID")
        # An archive may match more than was asked, such as the start of a number.
        if (
            keys["AccessionNumber"]
            and str(answer.get("AccessionNumber", "")).strip() != keys["AccessionNumber"]
        ):
            continue
        found = True
        yield Study(uid, keys["AccessionNumber"])
    if not found:
        said = keys["AccessionNumber"] or keys["StudyInstanceUID"]
        raise NotFetched(
            f"The archive has no study {escape(said)}",
            where="Nothing was fetched",
            next_step="Correct the number; `findscu` of dcmtk shows what the archive has",
        )


def _series(association: Association, study_uid: str) -> Iterator[Series]:
    for answer in _asked(
        association, "SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality=""
    ):
        series = Series(_uid(answer, "SeriesInstanceUID"), str(answer.get("Modality", "")))
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series.uid}
        for image in _asked(association, "IMAGE", **asked, SOPInstanceUID="", SOPClassUID=""):
            series.instances[_uid(image, "SOPInstanceUID")] = str(image.get("SOPClassUID", ""))
        yield series


def _asked(association: Association, level: str, **keys: str) -> list[Dataset]:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    answers: list[Dataset] = []
    for status, identifier in association.send_c_find(query, FIND):
        code = status.get("Status")
        if code in _PENDING and identifier is not None:
            answers.append(identifier)
        elif code != 0:
            said = "did not answer" if code is None else f"answered with the status {code:04X}"
            raise NotFetched(f"The archive {said} to a query (C-FIND, {level})", where="Nothing was fetched")
        if len(answers) > _MOST_ANSWERS:
            raise NotFetched("The archive answers without end", where="Nothing was fetched")
    return answers


def _uid(answer: Dataset, keyword: str) -> str:
    """A UID of an answer, which becomes part of a path. Raises NotFetched."""
    uid = str(answer.get(keyword, ""))
    if not is_uid(uid):
        raise NotFetched(f"The archive says {escape(uid)[:80]!r} for {keyword}", where="Nothing was fetched")
    return uid
