"""What each kind of event records.

The stored JSON of a payload has the keys as they are here, so old trails stay valid: a key may be added as NotRequired;
none may be renamed or removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict


class Waiting(TypedDict):
    route: str
    name: str
    reason: Sequence[str]


class Withdrawn(TypedDict):
    route: str
    name: str


class Claimed(TypedDict):
    route: str
    inbox: str
    name: str
    sender: str
    in_place: bool


class Started(TypedDict):
    attempt: int
    epoch: int
    worker: str


class GivenBack(TypedDict):
    epoch: int


class Retrying(TypedDict):
    epoch: int
    in_seconds: float
    reason: Sequence[str]


class Held(TypedDict):
    epoch: int
    items: int
    size_bytes: int


class Released(TypedDict):
    by: str


class Refused(TypedDict):
    epoch: int
    reason: Sequence[str]


class Names(TypedDict):
    """The number of entries, and the names of the first ones."""

    count: int
    names: Sequence[str]


class Delivered(TypedDict):
    epoch: int
    outcomes: Mapping[str, int]
    manifests: Mapping[str, str]  # destination: SHA-256 of its manifest
    ignored: NotRequired[Names]
    seconds: NotRequired[Mapping[str, float]]  # how long steps took: staging, publishing


class Received(TypedDict):
    """One association with a DICOM receiver. `instances` were acknowledged with success; `ended`: `released`,
    `aborted`, or `interrupted` if the process that received ended before (then `failures` is not known)."""

    route: str
    aet: str
    host: str
    instances: int
    failures: int
    ended: str


class StudyFetched(TypedDict):
    """A study that `fetch_dicom` got from an archive, whole: it has exactly the instances that the archive listed."""

    route: str
    source: str
    study_uid: str
    series: int
    instances: int
    by: str


class Files(TypedDict):
    """The number of files at a destination, and the first ones; of one that a failed mending had set aside before,
    `set_aside` says where."""

    destination: str
    count: int
    files: Sequence[Mapping[str, str]]
    by: NotRequired[str]
    reason: NotRequired[str]


class Mended(TypedDict):
    """A file that was put back at a destination. `found` is the SHA-256 of what was there instead (empty: nothing was),
    which is now at `set_aside`, below the destination (empty: nothing had to be)."""

    destination: str
    stored_as: str
    delivered: str
    found: str
    set_aside: str
    taken_from: str
    by: str


class LegalHold(TypedDict):
    reason: str
    by: str


class WrittenSince(TypedDict):
    lies_at: str
    count: int
    files: Sequence[Mapping[str, Any]]
    goes_on_as: str


class SeriesRecorded(TypedDict):
    """One series of an arrival: its instances there, those that were new, and the verdict on its completeness."""

    study_uid: str
    series_uid: str
    modality: str
    instances: int
    added: int
    verdict: str
    evidence: Sequence[str]


class ImagesRecorded(TypedDict):
    """The number of series, and the first ones; files that are not DICOM."""

    count: int
    series: Sequence[SeriesRecorded]
    not_dicom: NotRequired[Names]


class AssociationsRefused(TypedDict):
    """Associations that the DICOM receiver refused: their number, the first callers (`aet`, `host`, `called`, `why`,
    `count`), and how many were of others."""

    count: int
    others: int
    callers: Sequence[Mapping[str, Any]]


class InstancesChanged(TypedDict):
    """Instances that came with other bytes than before under the same SOPInstanceUID: their number, and the first."""

    count: int
    instances: Sequence[Mapping[str, Any]]


class SeriesIncomplete(TypedDict):
    """Series that were delivered although they are less complete than the route requires."""

    required: str
    count: int
    series: Sequence[SeriesRecorded]


class RetryAsked(TypedDict):
    reason: Sequence[str]
    by: NotRequired[str]


class AfterAsked(TypedDict):
    by: NotRequired[str]


Renamed = TypedDict("Renamed", {"from": str, "to": str, "by": str})


class Dismissed(TypedDict):
    reason: str
    by: str


Purged = TypedDict(
    "Purged",
    {
        "from": str,
        "size_bytes": int,
        "stays": NotRequired[Names],
        "because": NotRequired[str],
        "acknowledged": NotRequired[list[str]],  # destinations that cannot be read back
        "read_back": NotRequired[list[str]],  # destinations of which every file was read just before
        "items": NotRequired[int],
        "by": NotRequired[str],
    },
)


class UploadAudited(TypedDict):
    by: str
    note: str
    state: str
    account: str


class AuditWithdrawn(TypedDict):
    by: str
    note: str
    account: str


class FoldersLoaded(TypedDict):
    table: str
    added: int
    updated: int
    unchanged: int
    removed: int
    refused: int
    suspected: NotRequired[int]
    by: str
    file: str
    sha256: str
    changes: Sequence[Mapping[str, str]]


class Fetched(TypedDict):
    """The delivery that was fetched."""

    destination: str
    stored_as: str
    version: int
    sha256: str


class Acknowledged(Fetched):
    acknowledgment: str
    user: str
    address: str
    at: str
    evidence: str
    log: str
    line_sha256: str


class Accessed(Fetched):
    user: str
    address: str
    because: str
    count: int
    files: int
    last_at: str
    log: str


class Unacknowledged(TypedDict):
    acknowledgment: str
    destination: str
    stored_as: str
    user: str
    reason: str
    by: str


class Reidentified(TypedDict):
    """Whose original somebody was shown; the original itself is not recorded."""

    route: str
    kind: str  # patient, accession, uid
    replacement: str
    reason: str
    by: str


class Trouble(TypedDict):
    """Something is late, full or failing (`core.troubles`). `route` and `study` are empty if it is about no single
    one; `by`: the machine that found it."""

    trouble: str
    about: str
    what: str
    remedy: str
    route: str
    study: NotRequired[str]
    by: NotRequired[str]


class TroubleOver(Trouble):
    """It is over; `what` is what was said of it last."""

    began_at: str
    seconds: int


class Notified(TypedDict):
    """A message that somebody was sent. `to`: the place, without what is secret in it; `account`: whose, if it is an
    account's; `news`: how much of each kind it told; `events`: the first and the last that it told of."""

    message: str
    to: str
    account: str
    title: str
    news: Mapping[str, int]
    events: Sequence[int]
    attempts: int


class NotNotified(Notified):
    """A message that is not tried again: it could not be sent, or a crash left open whether it was."""

    why: str


class Timestamped(TypedDict):
    """A time stamp of the head of the chain. `response`: what the authority answered (RFC 3161), in base64; the others
    are read from it, but for the address."""

    head: Mapping[str, Any]  # seq, hash
    at: str
    authority: str
    signer: str
    response: str


class EpochAdopted(TypedDict):
    epoch: int
    before: int


Rebuild = TypedDict("Rebuild", {"from": str, "newest_head_in_receipts": Mapping[str, Any] | None})
Rebuilt = TypedDict(
    "Rebuilt",
    {
        "from": str,
        "manifests": NotRequired[Mapping[str, str]],
        "items": NotRequired[int | None],
        "reason": NotRequired[Sequence[str]],
    },
)


Import = TypedDict(
    "Import", {"from": str, "program": str, "sha256": str, "records": int, "refused": int, "by": str}
)


class Imported(TypedDict):
    """A record of another program, as it was there: dropslot has not seen the file that it tells of."""

    program: str
    model: str
    key: str
    name: str
    fields: Mapping[str, Any]
    record_sha256: str  # of the record's canonical JSON: by it a record is known when it comes again
