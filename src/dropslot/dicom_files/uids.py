"""Whether the UIDs of a header are UIDs (PS3.5, 9), and say the same in both places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dropslot.dicom_files.keywords import KEYWORDS

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_MOST = 64
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UIDS = tuple(keyword for keyword in KEYWORDS if keyword.endswith("UID"))
_TWICE = (("SOPClassUID", "MediaStorageSOPClassUID"), ("SOPInstanceUID", "MediaStorageSOPInstanceUID"))


def is_uid(text: str) -> bool:
    return len(text) <= _MOST and _UID.fullmatch(text) is not None


def faults_of_uids(values: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each."""
    for keyword in _UIDS:
        if keyword in values and not is_uid(values[keyword]):
            yield f"{keyword} is not a valid UID: only digits and periods, at most {_MOST}"
    if values.get("MediaStorageSOPClassUID") == MEDIA_DIRECTORY:
        return  # which is no instance of its own
    for inside, outside in _TWICE:
        if inside not in values:
            yield f"it has no {inside}"
        elif values.get(outside, values[inside]) != values[inside]:
            yield f"{inside} and {outside} differ"
