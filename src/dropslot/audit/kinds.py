"""The kinds of events: one list for writers, listings and readers of the outbox.

`entry` makes an event of a kind from its payload (`audit.event_payloads`); mypy proves that the payload has what
that kind needs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, overload

from dropslot.audit import event_payloads, visits
from dropslot.audit.chain import Entry


class Kind(StrEnum):
    """What happened. The value is what is stored."""

    # An arrival on its way
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"
    CLAIMED = "claimed"
    STARTED = "started"
    TAKEN_OVER = "taken-over"
    GIVEN_BACK = "given-back"
    RETRYING = "retrying"
    HELD = "held"
    DELIVERED = "delivered"
    REFUSED = "refused"
    # Files at a destination
    ADOPTED = "adopted"
    ALTERED = "altered"
    LEFT_BEHIND = "left-behind"
    WRITTEN_SINCE = "written-since"
    DAMAGED = "damaged"
    INTACT_AGAIN = "intact-again"
    MENDED = "mended"
    # Images
    RECEIVED = "received"
    ASSOCIATIONS_REFUSED = "associations-refused"
    FETCHED = "fetched"
    IMAGES_RECORDED = "images-recorded"
    INSTANCES_CHANGED = "instances-changed"
    SERIES_INCOMPLETE = "series-incomplete"
    # What an operator did
    RETRY_ASKED = "retry-asked"
    AFTER_ASKED = "after-asked"
    RELEASED = "released"
    RENAMED = "renamed"
    DISMISSED = "dismissed"
    PURGED = "purged"
    LEGAL_HOLD = "legal-hold"
    LEGAL_HOLD_RELEASED = "legal-hold-released"
    DAMAGE_ACCEPTED = "damage-accepted"
    UPLOAD_AUDITED = "upload-audited"
    AUDIT_WITHDRAWN = "audit-withdrawn"
    FOLDERS_LOADED = "folders-loaded"
    REIDENTIFIED = "reidentified"
    # What recipients did
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    ACCESSED = "accessed"
    # What people and programs did in the portal
    SIGNED_IN = "signed-in"
    SIGN_IN_REFUSED = "sign-in-refused"
    ACCESS_REFUSED = "access-refused"
    RIGHTS_CHANGED = "rights-changed"
    UPLOADED = "uploaded"
    VIEWED = "viewed"
    DOWNLOADED = "downloaded"
    EXPORTED = "exported"
    VERIFIED = "verified"
    TIMESTAMPED = "timestamped"
    # What is late, full or failing
    TROUBLE = "trouble"
    TROUBLE_OVER = "trouble-over"
    NOTIFIED = "notified"
    NOT_NOTIFIED = "not-notified"
    # A lost or older database
    EPOCH_ADOPTED = "epoch-adopted"
    REBUILD = "rebuild"
    REBUILT = "rebuilt"
    # Records of a program that was used before
    IMPORT = "import"
    IMPORTED = "imported"


@overload
def entry(kind: Literal[Kind.WAITING], arrival: str, data: event_payloads.Waiting) -> Entry: ...
@overload
def entry(kind: Literal[Kind.WITHDRAWN], arrival: str, data: event_payloads.Withdrawn) -> Entry: ...
@overload
def entry(kind: Literal[Kind.CLAIMED], arrival: str, data: event_payloads.Claimed) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.STARTED, Kind.TAKEN_OVER], arrival: str, data: event_payloads.Started
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.GIVEN_BACK], arrival: str, data: event_payloads.GivenBack) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RETRYING], arrival: str, data: event_payloads.Retrying) -> Entry: ...
@overload
def entry(kind: Literal[Kind.HELD], arrival: str, data: event_payloads.Held) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RELEASED], arrival: str, data: event_payloads.Released) -> Entry: ...
@overload
def entry(kind: Literal[Kind.REFUSED], arrival: str, data: event_payloads.Refused) -> Entry: ...
@overload
def entry(kind: Literal[Kind.DELIVERED], arrival: str, data: event_payloads.Delivered) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RECEIVED], arrival: Literal[""], data: event_payloads.Received) -> Entry: ...
@overload
def entry(kind: Literal[Kind.FETCHED], arrival: Literal[""], data: event_payloads.StudyFetched) -> Entry: ...
@overload
def entry(
    kind: Literal[
        Kind.ADOPTED, Kind.ALTERED, Kind.LEFT_BEHIND, Kind.DAMAGED, Kind.INTACT_AGAIN, Kind.DAMAGE_ACCEPTED
    ],
    arrival: str,
    data: event_payloads.Files,
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.MENDED], arrival: str, data: event_payloads.Mended) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.LEGAL_HOLD, Kind.LEGAL_HOLD_RELEASED], arrival: str, data: event_payloads.LegalHold
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.WRITTEN_SINCE], arrival: str, data: event_payloads.WrittenSince) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.IMAGES_RECORDED], arrival: str, data: event_payloads.ImagesRecorded
) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.ASSOCIATIONS_REFUSED], arrival: Literal[""], data: event_payloads.AssociationsRefused
) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.INSTANCES_CHANGED], arrival: str, data: event_payloads.InstancesChanged
) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.SERIES_INCOMPLETE], arrival: str, data: event_payloads.SeriesIncomplete
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RETRY_ASKED], arrival: str, data: event_payloads.RetryAsked) -> Entry: ...
@overload
def entry(kind: Literal[Kind.AFTER_ASKED], arrival: str, data: event_payloads.AfterAsked) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RENAMED], arrival: str, data: event_payloads.Renamed) -> Entry: ...
@overload
def entry(kind: Literal[Kind.DISMISSED], arrival: str, data: event_payloads.Dismissed) -> Entry: ...
@overload
def entry(kind: Literal[Kind.PURGED], arrival: str, data: event_payloads.Purged) -> Entry: ...
@overload
def entry(kind: Literal[Kind.UPLOAD_AUDITED], arrival: str, data: event_payloads.UploadAudited) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.AUDIT_WITHDRAWN], arrival: str, data: event_payloads.AuditWithdrawn
) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.FOLDERS_LOADED], arrival: Literal[""], data: event_payloads.FoldersLoaded
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.REIDENTIFIED], arrival: str, data: event_payloads.Reidentified) -> Entry: ...
@overload
def entry(kind: Literal[Kind.ACKNOWLEDGED], arrival: str, data: event_payloads.Acknowledged) -> Entry: ...
@overload
def entry(kind: Literal[Kind.UNACKNOWLEDGED], arrival: str, data: event_payloads.Unacknowledged) -> Entry: ...
@overload
def entry(kind: Literal[Kind.ACCESSED], arrival: str, data: event_payloads.Accessed) -> Entry: ...
@overload
def entry(kind: Literal[Kind.SIGNED_IN], arrival: Literal[""], data: visits.SignedIn) -> Entry: ...
@overload
def entry(kind: Literal[Kind.SIGN_IN_REFUSED], arrival: Literal[""], data: visits.SignInRefused) -> Entry: ...
@overload
def entry(kind: Literal[Kind.ACCESS_REFUSED], arrival: str, data: visits.AccessRefused) -> Entry: ...
@overload
def entry(kind: Literal[Kind.RIGHTS_CHANGED], arrival: Literal[""], data: visits.RightsChanged) -> Entry: ...
@overload
def entry(kind: Literal[Kind.UPLOADED], arrival: Literal[""], data: visits.Uploaded) -> Entry: ...
@overload
def entry(kind: Literal[Kind.VIEWED, Kind.DOWNLOADED], arrival: str, data: visits.Opened) -> Entry: ...
@overload
def entry(kind: Literal[Kind.EXPORTED], arrival: str, data: visits.Exported) -> Entry: ...
@overload
def entry(kind: Literal[Kind.VERIFIED], arrival: Literal[""], data: visits.Verified) -> Entry: ...
@overload
def entry(kind: Literal[Kind.TROUBLE], arrival: Literal[""], data: event_payloads.Trouble) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.TROUBLE_OVER], arrival: Literal[""], data: event_payloads.TroubleOver
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.NOTIFIED], arrival: Literal[""], data: event_payloads.Notified) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.NOT_NOTIFIED], arrival: Literal[""], data: event_payloads.NotNotified
) -> Entry: ...
@overload
def entry(
    kind: Literal[Kind.TIMESTAMPED], arrival: Literal[""], data: event_payloads.Timestamped
) -> Entry: ...
@overload
def entry(kind: Literal[Kind.EPOCH_ADOPTED], arrival: str, data: event_payloads.EpochAdopted) -> Entry: ...
@overload
def entry(kind: Literal[Kind.REBUILD], arrival: Literal[""], data: event_payloads.Rebuild) -> Entry: ...
@overload
def entry(kind: Literal[Kind.REBUILT], arrival: str, data: event_payloads.Rebuilt) -> Entry: ...
@overload
def entry(kind: Literal[Kind.IMPORT], arrival: Literal[""], data: event_payloads.Import) -> Entry: ...
@overload
def entry(kind: Literal[Kind.IMPORTED], arrival: Literal[""], data: event_payloads.Imported) -> Entry: ...
def entry(kind: Kind, arrival: str, data: Any) -> Entry:
    """An event to append: its kind, the arrival's id (empty: none) and the data of that kind."""
    return Entry(kind.value, arrival, data)
